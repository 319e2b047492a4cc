"""The admin pages of silences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import ChoiceField, ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.plausibility import subjects
from django_lifesigns.alerts.rows import matchers_of
from django_lifesigns.alerts.tables import Severity, Silence
from django_lifesigns.settings.problems import did_you_mean

WITHIN = lazy("Every process follows within 30 s.")
# That have not ended: the engine has room for no more.
MOST_SILENCES = 200
# Rows of one action in whose history it is noted.
MOST_LOGGED = 1_000


def chosen(rows: QuerySet[Any]) -> list[Any]:
    """Return the rows of an action, as they are before it."""
    return list(rows[:MOST_LOGGED])


def say(page: Any, request: HttpRequest, text: str, count: int, rows: Sequence[Model]) -> None:
    """Show the user what was done to so many rows, and log that the user has done so in the history of each."""
    name = request.POST.get("action", "")
    action = str(getattr(getattr(page, name, None), "short_description", name))
    user: Any = request.user.pk
    LogEntry.objects.log_actions(user, rows, CHANGE, action)
    page.message_user(request, f"{text % {'count': count}} {WITHIN}", messages.SUCCESS)


class SilenceForm(ModelForm):  # type: ignore[type-arg]  # is no generic at run time
    """A new silence, which matches something and for which there is room."""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if Silence.objects.filter(ends_at__gt=timezone.now()).count() >= MOST_SILENCES:
            text = _("There are %(count)d silences that have not ended, and room for no more: end some of them.")
            raise ValidationError(text % {"count": MOST_SILENCES})
        row = Silence(checks=given.get("checks", "*"), group=given.get("group", ""))
        checks, groups = self.known()
        known = {"check": subjects(checks), "group": groups}
        for field, key in (("checks", "check"), ("group", "group")):
            # A pattern may match what comes later.
            for name in (name for name in matchers_of(row)[key] if not set("*?") & set(name)):
                if name not in known[key]:
                    nearest = did_you_mean(name, known[key]) if known[key] else ""
                    self.add_error(field, f"{_('There is no %(name)r.') % {'name': name}} {nearest}".strip())
        return given

    def known(self) -> tuple[list[str], list[str]]:
        """Return the names of all checks and groups."""
        raise NotImplementedError


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
            return ChoiceField(choices=choices, required=False, label=capfirst(texts[0]), help_text=texts[1])
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
        rows = chosen(queryset)
        count = operations.end(queryset)
        text = ngettext("%(count)d silence ended.", "%(count)d silences ended.", count)
        say(self, request, text, count, rows)
