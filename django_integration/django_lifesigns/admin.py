"""The history, to be read, and the thresholds, to be set, in Django's admin."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from django_lifesigns.history.date_hierarchy import ByIndex
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability

# Below these, in percent, a service's availability is shown in the colour.
GOOD, FAIR = 99.0, 95.0


def coloured(text: str, status: str) -> SafeString:
    """The text in the colour of a status, and bold: colour alone is not for everybody."""
    return format_html('<b class="lifesigns-{}">{}</b>', status, text)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """Rows that the recorder writes; `manage.py health_prune` removes old ones."""

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["lifesigns/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class CheckFilter(admin.SimpleListFilter):
    """By check. Its choices come from the few rows of availability, not from the millions of the history."""

    title = "check"
    parameter_name = "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = ServiceAvailability.objects.order_by("service_name").values_list("service_name", flat=True)
        return [(name, name) for name in names[:1000]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[HealthCheckLog]) -> QuerySet[HealthCheckLog]:
        return queryset.filter(check_name=self.value()) if self.value() else queryset


@admin.register(HealthCheckLog)
class HealthCheckLogAdmin(ReadOnlyAdmin):
    """Every recorded result; the search understands names, words of messages, and the id of a sweep."""

    list_display = ("checked_at", "check_name", "shown_status", "duration_ms", "message")
    list_filter = ("status", CheckFilter)
    search_fields = ("check_name", "message")
    search_help_text = "Name of a check, words of its message, or the correlation id of a sweep"
    date_hierarchy = "checked_at"
    # A second count of all rows, beside that of the rows found, which is no use to anybody.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return ByIndex(self.model)

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: HealthCheckLog) -> SafeString:
        return coloured(row.status, row.status)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        try:
            return queryset.filter(correlation_id=UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)


@admin.register(ServiceAvailability)
class ServiceAvailabilityAdmin(ReadOnlyAdmin):
    """One row for each check."""

    list_display = (
        "service_name",
        "uptime",
        "total_checks",
        "successful_checks",
        "degraded_checks",
        "failed_checks",
        "last_check_at",
        "last_failure_at",
    )
    list_filter = ("last_check_at", "last_failure_at")
    search_fields = ("service_name",)
    date_hierarchy = "last_check_at"

    @admin.display(description="uptime", ordering="uptime_percentage")
    def uptime(self, row: ServiceAvailability) -> SafeString:
        share = row.uptime_percentage
        return coloured(f"{share:.2f} %", "healthy" if share >= GOOD else "degraded" if share >= FAIR else "error")


@admin.register(AlertThreshold)
class AlertThresholdAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """What is saved here governs the checks of every process within 30 s; the model says what is valid."""

    list_display = ("metric_type", "alert_level", "threshold_value", "default", "enabled", "updated_at", "description")
    list_filter = ("metric_type", "alert_level", "enabled")
    search_fields = ("metric_type", "description")
    readonly_fields = ("created_at", "updated_at")

    @admin.display(description="default")
    def default(self, row: AlertThreshold) -> str:
        return f"{row.default:g}"
