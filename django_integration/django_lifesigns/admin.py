"""Django's admin: the history, thresholds, incidents, silences and actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.actions.admin import ActionRunAdmin, ActionSwitchAdmin
from django_lifesigns.alerts.delivery_admin import DeliveryAdmin
from django_lifesigns.alerts.incident_admin import IncidentAdmin
from django_lifesigns.alerts.silence_admin import SilenceAdmin, SilenceForm
from django_lifesigns.history.date_hierarchy import ByIndex
from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.read_only_admin import ReadOnlyAdmin, StatusMedia, coloured
from django_lifesigns.history.search import BoundedPaginator, by_name_or_sweep, check_names, latest, sweep_of
from django_lifesigns.http.links import site_link
from django_lifesigns.models import (
    ActionRun,
    ActionSwitch,
    AlertThreshold,
    Delivery,
    HealthCheckLog,
    Incident,
    ServiceAvailability,
    Silence,
)
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.runtime.in_force import ThresholdInForce, thresholds_in_force, with_unit

# Below these, in percent, a service's availability is shown in the colour.
GOOD, FAIR = 99.0, 95.0
MESSAGE_LENGTH = 100


class CheckFilter(admin.SimpleListFilter):
    """By check. Its choices come from the few rows of availability, not from the millions of the history."""

    title = lazy("check")
    parameter_name = "check"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in check_names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[HealthCheckLog]) -> QuerySet[HealthCheckLog]:
        return queryset.filter(check_name=self.value()) if self.value() else queryset


@admin.register(HealthCheckLog)
class HealthCheckLogAdmin(ReadOnlyAdmin):
    """Every recorded result. Each query of the list is one that an index answers, or bounded."""

    list_display = ("checked_at", "check_name", "shown_status", "duration", "short_message", "sweep")
    # By what no index has in order, the database would sort all rows.
    sortable_by = ("checked_at",)
    list_filter = ("status", CheckFilter)
    search_fields = ("message",)
    search_help_text = lazy(
        "The beginning of a check's name, or, in the latest 100,000 results of those selected, "
        "words of messages or the correlation id of a sweep"
    )
    date_hierarchy = "checked_at"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = ("checked_at", "check_name", "shown_status", "duration", "message", "shown_details", "sweep")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A page of 100 rows would read up to 6 MB of details that it does not show.
        return ByIndex(self.model).defer("details")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by name or sweep where the term is one, else in the latest messages."""
        if not search_term.strip():
            return queryset, False
        found = by_name_or_sweep(queryset, search_term)
        if found is not None:
            return found, False
        return super().get_search_results(request, latest(queryset), search_term)

    @admin.display(description=lazy("status"))
    def shown_status(self, row: HealthCheckLog) -> SafeString:
        return coloured(row.status, row.status)

    @admin.display(description=lazy("duration"))
    def duration(self, row: HealthCheckLog) -> str:
        return _("%(number)s ms") % {"number": f"{row.duration_ms:.1f}"}

    @admin.display(description=lazy("message"))
    def short_message(self, row: HealthCheckLog) -> str:
        return Truncator(row.message).chars(MESSAGE_LENGTH)

    @admin.display(description=lazy("details"))
    def shown_details(self, row: HealthCheckLog) -> SafeString:
        text = to_json(row.details, indent=2, ascii_only=False)
        return format_html('<pre class="lifesigns-json">{}</pre>', text)

    @admin.display(description=lazy("sweep"), empty_value="")
    def sweep(self, row: HealthCheckLog) -> SafeString | None:
        """Link to all results of the same sweep."""
        if row.correlation_id is None:
            return None
        url = f"{reverse(f'{self.admin_site.name}:lifesigns_healthchecklog_changelist')}?{urlencode(sweep_of(row))}"
        return format_html('<a href="{}" title="{}">{}</a>', url, row.correlation_id, str(row.correlation_id)[:8])


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

    def view_on_site(self, obj: ServiceAvailability) -> str | None:
        """Link to the check on the dashboard."""
        return site_link("dashboard_check", check=obj.service_name)

    @admin.display(description=lazy("uptime"), ordering="uptime_percentage")
    def uptime(self, row: ServiceAvailability) -> SafeString:
        share = row.uptime_percentage
        return coloured(f"{share:.2f}%", "healthy" if share >= GOOD else "degraded" if share >= FAIR else "error")


class ThresholdForm(ModelForm):  # type: ignore[type-arg]  # is no generic at run time
    """A threshold; the model says what is valid."""

    class Meta:
        model = AlertThreshold
        fields = ("metric_type", "alert_level", "threshold_value", "enabled", "description")
        error_messages: ClassVar[Any] = {
            NON_FIELD_ERRORS: {
                "unique_together": lazy("There is a threshold of this metric and level already: change that one.")
            }
        }


@admin.register(AlertThreshold)
class AlertThresholdAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """What is saved here governs the checks of every process within 30 s; above the rows stands what is in force."""

    form = ThresholdForm
    change_list_template = "lifesigns/admin/thresholds.html"
    list_display = ("metric_type", "alert_level", "value", "default", "enabled", "updated_at", "description")
    list_filter = ("metric_type", "alert_level", "enabled")
    search_fields = ("metric_type", "description")
    readonly_fields = ("created_at", "updated_at")

    Media = StatusMedia

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the thresholds in force above those saved."""
        thresholds = [self._row(request, threshold) for threshold in thresholds_in_force()]
        return super().changelist_view(request, {**(extra_context or {}), "thresholds": thresholds})

    @admin.display(description=lazy("threshold"), ordering="threshold_value")
    def value(self, row: AlertThreshold) -> str:
        return with_unit(row.metric_type, row.threshold_value)

    @admin.display(description=lazy("default"))
    def default(self, row: AlertThreshold) -> str:
        # An adopted table may have metrics of its own.
        return with_unit(row.metric_type, AlertThreshold.DEFAULTS.get(row.metric_type, {}).get(row.alert_level))

    def _row(self, request: HttpRequest, threshold: ThresholdInForce) -> dict[str, str]:
        prefix = f"{self.admin_site.name}:lifesigns_alertthreshold"
        url = action = ""
        if threshold.row:
            url, action = reverse(f"{prefix}_change", args=[threshold.row.pk]), _("Change")
        elif self.has_add_permission(request):
            query = urlencode({"metric_type": threshold.metric, "alert_level": threshold.level})
            url, action = f"{reverse(f'{prefix}_add')}?{query}", _("Set")
        return {**threshold.texts(), "url": url, "action": action}


@admin.register(Incident)
class LinkedIncidentAdmin(IncidentAdmin):
    """Incidents with a link to their check on the dashboard."""

    def view_on_site(self, obj: Incident) -> str | None:
        """Link to the check on the dashboard."""
        return site_link("dashboard_check", check=obj.check_name)


class SilenceOfProjectForm(SilenceForm):
    """A silence of checks and groups that this project has."""

    def known(self) -> tuple[list[str], list[str]]:
        """Return the names of all checks and groups."""
        engine = get_engine()
        return list(engine.names), list(engine.groups)


@admin.register(Silence)
class SilenceOfProjectAdmin(SilenceAdmin):
    """Silences of what this project has."""

    form = SilenceOfProjectForm


admin.site.register(Delivery, DeliveryAdmin)
admin.site.register(ActionRun, ActionRunAdmin)
admin.site.register(ActionSwitch, ActionSwitchAdmin)
