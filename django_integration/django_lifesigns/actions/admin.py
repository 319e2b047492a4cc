"""The admin pages of actions: what they did, and the switches."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.actions.tables import STATE_COLOURS, ActionRun, ActionSwitch
from django_lifesigns.history.read_only_admin import ReadOnlyAdmin, coloured
from django_lifesigns.history.search import BoundedPaginator

MESSAGE_LENGTH = 100


class ActionRunAdmin(ReadOnlyAdmin):
    """Every run of an action, and when one was due and did not run."""

    list_display = ("started_at", "name", "check_name", "shown_state", "short_reason", "short_message", "process")
    list_display_links = ("started_at", "name")
    list_filter = ("state", "name")
    search_fields = ("name", "check_name")
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = (
        "name",
        "action",
        "application",
        "check_name",
        "cause",
        "author",
        "reason",
        "shown_state",
        "message",
        "fence",
        "process",
        "started_at",
        "ended_at",
    )

    @admin.display(description=lazy("state"), ordering="state")
    def shown_state(self, row: ActionRun) -> SafeString:
        return coloured(row.state, STATE_COLOURS.get(row.state, "degraded"))

    @admin.display(description=lazy("reason"))
    def short_reason(self, row: ActionRun) -> str:
        return Truncator(row.reason).chars(MESSAGE_LENGTH)

    @admin.display(description=lazy("message"))
    def short_message(self, row: ActionRun) -> str:
        return Truncator(row.message).chars(MESSAGE_LENGTH)


class ActionSwitchAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """The kill switch: of all actions, or of one. It is turned, not deleted: who did so stays on record."""

    list_display = ("name", "is_on", "author", "changed_at")
    fields = ("name", "is_on")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Another name is another switch."""
        return () if obj is None else ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ActionSwitch, form: Any, change: bool) -> None:
        """Save it as that of the user."""
        obj.author, obj.changed_at = request.user.get_username(), timezone.now()
        super().save_model(request, obj, form, change)
        self.message_user(request, _("Every process follows within 30 s."), messages.SUCCESS)
