"""An answer as a page for people, which needs no setting, style sheet or script of the project."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template import Context, Engine, Template
from django.utils.safestring import SafeString
from django.utils.translation import gettext, override

from django_lifesigns.history.json_text import to_json

# The colours of all pages, reports and the admin.
PALETTE = (Path(__file__).resolve().parents[1] / "static/lifesigns/palette.css").read_text(encoding="utf-8")
STYLE = SafeString(
    PALETTE + ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;"
    "padding:0 1rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid var(--lifesigns-line);vertical-align:top}td:nth-child(3){text-align:right}"
    "pre{overflow:auto;max-height:30rem}"
    "b{padding:0 .4rem;border-radius:.3rem;color:var(--lifesigns-on);background:var(--lifesigns-error)}"
    ".healthy,.alive,.ready,.started{background:var(--lifesigns-healthy)}"
    ".degraded,.starting,.draining{background:var(--lifesigns-degraded)}.skipped{background:var(--lifesigns-skipped)}"
)
# It is all that the page needs: under a policy of the project's own, the style would be refused.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


def render(body: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the whole page; `results` are those in the body."""
    shown = ("status", "message", "hint")
    rest = {key: value for key, value in body.items() if key not in shown and value is not results}
    # Not in the language of the request before on this thread: no middleware has chosen one yet.
    with override(settings.LANGUAGE_CODE):
        context = {
            "language": settings.LANGUAGE_CODE,
            "style": STYLE,
            "status": body["status"],
            "message": _translated(body.get("message")),
            "hint": _translated(body.get("hint")),
            "results": results,
            "rest": to_json(rest, indent=2, ascii_only=False) if rest else "",
        }
        return _template().render(Context(context, use_l10n=False))


def _translated(text: str | None) -> str:
    return gettext(text) if text else ""


@cache
def _template() -> Template:
    """With an engine of its own: it depends on no setting of the project."""
    engine = Engine(dirs=[str(TEMPLATES)], libraries={"i18n": "django.templatetags.i18n"})
    return engine.get_template("lifesigns/health.html")
