"""What the admin pages of incidents and deliveries have in common: states in colours, and delivering again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.silence_admin import chosen, say
from django_lifesigns.alerts.tables import Incident
from django_lifesigns.checks.timezones import utc
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


def with_zone(at: datetime | None) -> str | None:
    """Return a time of the tables in the zone of the page, with the name of that."""
    return None if at is None else f"{utc(at).astimezone(get_current_timezone()):%Y-%m-%d %H:%M:%S %Z}"


class AlertPage(ReadOnlyAdmin):
    """A list of rows with a state, from which notices can be delivered again."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions: Any = ("retry",)

    def incidents(self, rows: QuerySet[Any]) -> QuerySet[Incident]:
        """Return the incidents of these rows."""
        raise NotImplementedError

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may have notices delivered again."""
        return request.user.has_perm("lifesigns.retry_incident")

    @admin.action(description=lazy("Deliver again what was refused or has failed"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = chosen(queryset)
        count = operations.retry(self.incidents(queryset))
        text = ngettext("%(count)d incident is retried.", "%(count)d incidents are retried.", count)
        say(self, request, text, count, rows)

    @admin.display(description=lazy("state"), ordering="state")
    def shown_state(self, row: Any) -> SafeString:
        return in_colour(row.state)
