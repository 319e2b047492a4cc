"""The admin pages of silences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.tables import Severity, Silence

WITHIN = lazy("Every process follows within 30 s.")


def say(page: admin.ModelAdmin, request: HttpRequest, text: str, count: int) -> None:  # type: ignore[type-arg]
    """Show the user what was done to so many rows."""
    page.message_user(request, f"{text % {'count': count}} {WITHIN}", messages.SUCCESS)


class SilenceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """Silences can be added and ended, not changed: what was silenced when stays as it was."""

    list_display = ("checks", "severity", "group", "starts_at", "ends_at", "author", "comment")
    list_filter = ("ends_at",)
    search_fields = ("checks", "author", "comment")
    fields = ("checks", "severity", "group", "starts_at", "ends_at", "comment")
    actions = ("end",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the three severities that there are."""
        if db_field.name == "severity":
            choices, texts = [("", "---------"), *Severity.choices], (db_field.verbose_name, db_field.help_text)
            return ChoiceField(choices=choices, required=False, label=texts[0], help_text=texts[1])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The author of one that is there is shown, too."""
        return self.fields if obj is None else (*self.fields, "author")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A scope that knows it already would write it again: it is ended, which stays on record.
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Whether the user may end silences."""
        return request.user.has_perm("lifesigns.change_silence")

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        """Save it as that of the user."""
        obj.author = request.user.get_username()
        super().save_model(request, obj, form, change)

    @admin.action(description=lazy("End now"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[Silence]) -> None:
        count = operations.end(queryset)
        text = ngettext("%(count)d silence ended.", "%(count)d silences ended.", count)
        say(self, request, text, count)
