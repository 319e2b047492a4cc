"""What the admin pages of recorded things have in common: they can be read, in the colours of statuses."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString


class StatusMedia:
    """The colours of statuses."""

    css: ClassVar[dict[str, list[str]]] = {"all": ["lifesigns/palette.css", "lifesigns/admin.css"]}


def coloured(text: str, status: str) -> SafeString:
    """Return the text in the colour of a status, and bold: not everybody sees colours."""
    return format_html('<b class="lifesigns-{}">{}</b>', status, text)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # is no generic at run time
    """Rows that the recorder writes; `manage.py health_prune` removes old ones."""

    Media = StatusMedia

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
