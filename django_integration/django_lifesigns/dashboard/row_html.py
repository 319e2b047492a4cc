"""What every row of the list of all checks has, as HTML: for a thousand rows a template takes 30 ms longer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from django_lifesigns.dashboard.rows import Row


def heading(row: Row) -> SafeString:
    """Return the name of a check, which links to its page, its status, and what else marks it."""
    name, status, silenced = escape(row.check["name"]), row.check["status"], row["silenced_until"]
    marks = [row["mark"], silenced and f"{row.page.phrases('silenced until')} {silenced.text}"]
    parts = [
        f'<a class="name" id="check-{name}" href="{escape(row["url"])}">{name}</a>',
        f'<span class="badge {status}">{escape(row["word"])}</span>',
        *[f'<span class="mark">{escape(mark)}</span>' for mark in marks if mark],
    ]
    return SafeString(" ".join(parts))


def history(row: Row) -> SafeString:
    """Return the strip of a check, its availability, age, circuit, parents and objective, as far as it has these."""
    strip, at, objective = row["strip"], row["at"], row["objective"]
    before, *after = [escape(row[key]) if row[key] else "" for key in ("availability", "notable_circuit", "depends_on")]
    if at:
        of = f'data-check="{escape(row.check["name"])}" datetime="{escape(at.iso)}"'
        after = [f'<time class="age" {of}>{escape(at.ago)}</time>', *after]
    parts = [
        f'<div class="days" dir="ltr">{strip}</div>\n' if strip else "",
        '<p class="facts">',
        *[f"<span>{fact}</span>\n" for fact in (before, *after) if fact],
        "</p>",
        f'\n<p class="facts">{escape(objective)}</p>' if objective else "",
    ]
    return SafeString("".join(parts))
