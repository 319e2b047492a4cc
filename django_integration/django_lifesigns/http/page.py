"""An answer as a page for people, which needs no template, style sheet or script of the project."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

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
PAGE = SafeString(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{status}: health</title>'
    '<meta name="viewport" content="width=device-width"><style>{style}</style></head>\n'
    "<body><h1>{badge} {message}</h1>\n{table}{rest}</body></html>\n"
)
TABLE = "<table><thead><tr><th>Check<th>Status<th>ms<th>Message</tr></thead>\n<tbody>{}</tbody></table>\n"
ROW = "<tr><td>{}<td>{}<td>{}<td>{}</tr>\n"


def render(body: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page; `results` are those in the body."""
    rest = {key: value for key, value in body.items() if key not in ("status", "message") and value is not results}
    return format_html(
        PAGE,
        status=body["status"],
        style=STYLE,
        badge=_badge(body["status"]),
        message=body.get("message", ""),
        table=_table(results),
        rest=format_html("<pre>{}</pre>\n", json.dumps(rest, indent=2)) if rest else "",
    )


def _table(results: Mapping[str, Mapping[str, Any]]) -> str:
    if not results:
        return ""
    rows = (
        (name, _badge(result["status"]), result.get("duration_ms", ""), result.get("message", ""))
        for name, result in results.items()
    )
    return format_html(TABLE, format_html_join("", ROW, rows))


def _badge(status: str) -> SafeString:
    return format_html('<b class="{0}">{0}</b>', status)
