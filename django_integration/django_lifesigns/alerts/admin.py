"""The admin pages of incidents, and of what was delivered of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.rows import moment
from django_lifesigns.alerts.silence_admin import say
from django_lifesigns.alerts.tables import Delivery, Incident
from django_lifesigns.history.read_only_admin import ReadOnlyAdmin, coloured
from django_lifesigns.history.search import BoundedPaginator

MESSAGE_LENGTH = 100
# The colours of states: those of statuses.
COLOURS = {
    "firing": "error",
    "flapping": "error",
    "refused": "error",
    "failed": "error",
    "acknowledged": "degraded",
    "resolving": "degraded",
    "pending": "degraded",
    "silenced": "skipped",
    "dropped": "skipped",
    "replaced": "skipped",
    "critical": "error",
    "error": "error",
    "warning": "degraded",
}


def in_colour(word: str) -> SafeString:
    """Return the word of a state or a severity in its colour."""
    return coloured(word, COLOURS.get(word, "healthy"))


class OpenFilter(admin.SimpleListFilter):
    """Incidents that are open, or over."""

    title = lazy("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Open")), ("no", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        return queryset.filter(resolved_at__isnull=self.value() == "yes") if self.value() else queryset


class DeliveryInline(admin.TabularInline):  # type: ignore[type-arg]  # is no generic at run time
    """What became of each notice of an incident."""

    model = Delivery
    extra = 0
    can_delete = False
    fields = ("channel", "kind", "shown_state", "attempts", "last_answer", "last_attempt_at", "next_attempt_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may see the incident, whose page this is part of."""
        return request.user.has_perm("lifesigns.view_incident")

    @admin.display(description=lazy("state"))
    def shown_state(self, row: Delivery) -> SafeString:
        return in_colour(row.state)


class IncidentAdmin(ReadOnlyAdmin):
    """Incidents with what has happened to them. They are acknowledged, silenced and retried from the list."""

    list_display = (
        "check_name",
        "shown_state",
        "shown_severity",
        "since",
        "resolved_at",
        "short_message",
        "acknowledged_by",
    )
    list_filter = (OpenFilter, "severity", "check_name")
    search_fields = ("check_name", "message")
    date_hierarchy = None
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = (
        "check_name",
        "application",
        "shown_state",
        "shown_severity",
        "message",
        "since",
        "fired_at",
        "resolved_at",
        "acknowledged_by",
        "acknowledgement",
        "blocked",
        "timeline",
        "instance",
    )
    inlines = (DeliveryInline,)
    actions = ("acknowledge", "silence", "retry")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return rows.defer("record") if is_list else rows

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whether the user may acknowledge."""
        return request.user.has_perm("lifesigns.acknowledge_incident")

    def has_silence_permission(self, request: HttpRequest) -> bool:
        """Whether the user may add silences."""
        return request.user.has_perm("lifesigns.add_silence")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may have notices delivered again."""
        return request.user.has_perm("lifesigns.retry_incident")

    @admin.action(description=lazy("Acknowledge"), permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        count = operations.acknowledge(queryset, request.user.get_username())
        text = ngettext("%(count)d incident acknowledged.", "%(count)d incidents acknowledged.", count)
        say(self, request, text, count)

    @admin.action(description=lazy("Silence the checks for an hour"), permissions=["silence"])
    def silence(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        names, comment = sorted(set(queryset.values_list("check_name", flat=True))), _("From the list of incidents")
        for name in names:
            operations.new_silence(name, author=request.user.get_username(), comment=comment).save(force_insert=True)
        count = len(names)
        text = ngettext("%(count)d check silenced.", "%(count)d checks silenced.", count)
        say(self, request, text, count)

    @admin.action(description=lazy("Deliver again what was refused or has failed"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        count = operations.retry(queryset)
        text = ngettext("%(count)d incident is retried.", "%(count)d incidents are retried.", count)
        say(self, request, text, count)

    @admin.display(description=lazy("state"), ordering="state")
    def shown_state(self, row: Incident) -> SafeString:
        return in_colour(row.state)

    @admin.display(description=lazy("severity"), ordering="severity")
    def shown_severity(self, row: Incident) -> SafeString:
        return in_colour(row.severity)

    @admin.display(description=lazy("message"))
    def short_message(self, row: Incident) -> str:
        return Truncator(row.message).chars(MESSAGE_LENGTH)

    @admin.display(description=lazy("blocked behind it"), empty_value="")
    def blocked(self, row: Incident) -> str:
        return ", ".join(row.record.get("blocked", ()))

    @admin.display(description=lazy("timeline"))
    def timeline(self, row: Incident) -> SafeString:
        """What has happened, in order."""
        entries = row.record.get("timeline", ())
        lines = [(f"{moment(entry['at']):%Y-%m-%d %H:%M:%S}", entry["kind"], entry["text"]) for entry in entries]
        return format_html('<ol class="lifesigns-timeline">{}</ol>', format_html_join("", "<li>{} {}: {}</li>", lines))


class DeliveryAdmin(ReadOnlyAdmin):
    """Every notice on every channel: what the receiver has answered, and when it is tried again."""

    list_display = (
        "last_attempt_at",
        "incident_check",
        "channel",
        "kind",
        "shown_state",
        "attempts",
        "short_answer",
        "next_attempt_at",
    )
    list_display_links = ("last_attempt_at", "incident_check")
    list_filter = ("state", "channel", "kind")
    list_select_related = ("incident",)
    ordering = ("-last_attempt_at",)
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = (
        "incident",
        "channel",
        "kind",
        "shown_state",
        "attempts",
        "last_answer",
        "last_attempt_at",
        "next_attempt_at",
    )
    actions = ("retry",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer("incident__record")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may have notices delivered again."""
        return request.user.has_perm("lifesigns.retry_incident")

    @admin.action(description=lazy("Deliver again what was refused or has failed"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = operations.retry(Incident.objects.filter(deliveries__in=queryset))
        text = ngettext("%(count)d incident is retried.", "%(count)d incidents are retried.", count)
        say(self, request, text, count)

    @admin.display(description=lazy("check"), ordering="incident__check_name")
    def incident_check(self, row: Delivery) -> str:
        return row.incident.check_name

    @admin.display(description=lazy("state"), ordering="state")
    def shown_state(self, row: Delivery) -> SafeString:
        return in_colour(row.state)

    @admin.display(description=lazy("last answer"))
    def short_answer(self, row: Delivery) -> str:
        return Truncator(row.last_answer).chars(MESSAGE_LENGTH)
