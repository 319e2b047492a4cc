"""The admin pages of incidents."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from django.contrib import admin
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.page import MESSAGE_LENGTH, AlertPage, in_colour, with_zone
from django_lifesigns.alerts.rows import story
from django_lifesigns.alerts.silence_admin import chosen, say
from django_lifesigns.alerts.tables import Delivery, Incident


class OpenFilter(admin.SimpleListFilter):
    """Incidents that are open, or over."""

    title = lazy("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Open")), ("no", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        return queryset.filter(resolved_at__isnull=self.value() == "yes") if self.value() else queryset


class DeliveryInline(admin.TabularInline):  # type: ignore[type-arg]  # is no generic at run time
    """Each notice of an incident, and whether it was delivered."""

    model = Delivery
    extra = 0
    can_delete = False
    fields = ("channel", "kind", "shown_state", "attempts", "last_answer", "last_attempt", "next_attempt")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may see the incident, whose page this is part of."""
        return request.user.has_perm("lifesigns.view_incident")

    @admin.display(description=lazy("state"))
    def shown_state(self, row: Delivery) -> SafeString:
        return in_colour(row.state)

    @admin.display(description=lazy("last attempt at"))
    def last_attempt(self, row: Delivery) -> str | None:
        return with_zone(row.last_attempt_at)

    @admin.display(description=lazy("next attempt at"))
    def next_attempt(self, row: Delivery) -> str | None:
        return with_zone(row.next_attempt_at)


class IncidentAdmin(AlertPage):
    """Incidents with what has happened to them. They are acknowledged, silenced and retried from the list."""

    list_display = (
        "check_name",
        "shown_state",
        "shown_severity",
        "began",
        "ended",
        "short_message",
        "acknowledged_by",
        "delivered",
    )
    list_filter = (OpenFilter, "severity", "check_name")
    search_fields = ("check_name", "message")
    date_hierarchy = None
    fields = (
        "check_name",
        "application",
        "shown_state",
        "shown_severity",
        "message",
        "began",
        "fired",
        "ended",
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
        latest = Delivery.objects.order_by("channel", "pk").only("incident", "channel", "kind", "state")
        return rows.defer("record").prefetch_related(Prefetch("deliveries", latest)) if is_list else rows

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whether the user may acknowledge."""
        return request.user.has_perm("lifesigns.acknowledge_incident")

    def has_silence_permission(self, request: HttpRequest) -> bool:
        """Whether the user may add silences."""
        return request.user.has_perm("lifesigns.add_silence")

    def incidents(self, rows: QuerySet[Any]) -> QuerySet[Incident]:
        return rows

    @admin.action(description=lazy("Acknowledge"), permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        rows = chosen(queryset)
        count = operations.acknowledge(queryset, request.user.get_username())
        text = ngettext("%(count)d incident acknowledged.", "%(count)d incidents acknowledged.", count)
        say(self, request, text, count, rows)

    @admin.action(description=lazy("Silence the checks for an hour"), permissions=["silence"])
    def silence(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        rows, comment = chosen(queryset), _("From the list of incidents")
        names = sorted(set(queryset.values_list("check_name", flat=True)))
        for name in names:
            operations.new_silence(name, author=request.user.get_username(), comment=comment).save(force_insert=True)
        count = len(names)
        text = ngettext("%(count)d check silenced.", "%(count)d checks silenced.", count)
        say(self, request, text, count, rows)

    @admin.display(description=lazy("severity"), ordering="severity")
    def shown_severity(self, row: Incident) -> SafeString:
        return in_colour(row.severity)

    @admin.display(description=lazy("since"), ordering="since")
    def began(self, row: Incident) -> str | None:
        return with_zone(row.since)

    @admin.display(description=lazy("fired at"))
    def fired(self, row: Incident) -> str | None:
        return with_zone(row.fired_at)

    @admin.display(description=lazy("resolved at"), ordering="resolved_at")
    def ended(self, row: Incident) -> str | None:
        return with_zone(row.resolved_at)

    @admin.display(description=lazy("delivered"))
    def delivered(self, row: Incident) -> SafeString:
        """The state of the latest notice on each channel."""
        latest = {delivery.channel: delivery for delivery in row.deliveries.all()}
        shown = ((name, delivery.kind, in_colour(delivery.state)) for name, delivery in latest.items())
        return format_html_join(mark_safe("<br>"), "{}: {} {}", shown)

    @admin.display(description=lazy("message"))
    def short_message(self, row: Incident) -> str:
        return Truncator(row.message).chars(MESSAGE_LENGTH)

    @admin.display(description=lazy("blocked behind it"), empty_value="")
    def blocked(self, row: Incident) -> str:
        return ", ".join(story(row)["blocked"])

    @admin.display(description=lazy("timeline"))
    def timeline(self, row: Incident) -> SafeString:
        """What has happened, in order."""
        entries = story(row)["timeline"]
        lines = [(_shown(entry["at"]), entry["kind"], entry["text"]) for entry in entries]
        return format_html('<ol class="lifesigns-timeline">{}</ol>', format_html_join("", "<li>{} {}: {}</li>", lines))


def _shown(at: float) -> str:
    return with_zone(datetime.fromtimestamp(at, timezone.utc)) or ""
