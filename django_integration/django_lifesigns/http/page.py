"""An answer as a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from django_lifesigns.history.json_text import to_json
from django_lifesigns.http.templates import render as render_template


def render(request: HttpRequest, body: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the whole page; `results` are those in the body."""
    shown = ("status", "message", "hint")
    rest = {key: value for key, value in body.items() if key not in shown and value is not results}
    context = {
        "status": body["status"],
        "message": _translated(body.get("message")),
        "hint": _translated(body.get("hint")),
        "results": results,
        "rest": to_json(rest, indent=2, ascii_only=False) if rest else "",
    }
    return render_template(request, "lifesigns/health.html", context)


def _translated(text: str | None) -> Any:
    return gettext_lazy(text) if text else ""
