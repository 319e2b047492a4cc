"""A check as its templates get it: words for its state, its times and its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from django_lifesigns.dashboard.order import STATUSES
from django_lifesigns.dashboard.row_html import heading, history
from django_lifesigns.dashboard.shapes import CheckEntry
from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.http.words import Moment, milliseconds, moment_of, word

NONE = "\N{EN DASH}"
# Of a check, its strip as it is drawn, empty without one.
Drawing = Callable[[str, Phrases], SafeString | str]
AUTOMATIC = {"state": "closed", "mode": "automatic"}


@dataclass(frozen=True, slots=True)
class PageContext:
    """What all rows of a page have in common: the URL of the dashboard, the time, how strips are drawn, its words."""

    home: str
    now: datetime
    drawing: Drawing
    phrases: Phrases = field(default_factory=Phrases)
    words: dict[str, str] = field(default_factory=lambda: {status: word(status) for status in STATUSES})

    def moment(self, value: str | None) -> Moment | None:
        """Return a time as it is shown."""
        return moment_of(value, self.now, self.phrases)


class Row(dict[str, Any]):
    """By its keys what a template shows of a check: made when one does, since a page may have a thousand of them."""

    def __init__(self, check: CheckEntry, page: PageContext) -> None:
        super().__init__(check=check, url=f"{page.home}{check['name']}/", word=page.words[check["status"]])
        self.check = check
        self.page = page

    def __missing__(self, key: str) -> Any:
        value = self[key] = VALUES[key](self)
        return value


def percent(ratio: float | None) -> str:
    """Return a share as a percentage, never rounded up: what was not whole is not shown as if it were."""
    if ratio is None:
        return NONE
    return f"{math.floor(ratio * 100_000 + 1e-6) / 1000:.3f}".rstrip("0").rstrip(".") + "%"


def _mark(row: Row) -> str:
    _ = row.page.phrases
    return _("critical") if row.check["critical"] else ""


def _is_bad(row: Row) -> bool:
    return row.check["status"] != "healthy"


def _since(row: Row) -> Moment | None:
    return row.page.moment(row.check["since"])


def _at(row: Row) -> Moment | None:
    return row.page.moment(row.check["timestamp"])


def _last_error_at(row: Row) -> Moment | None:
    error = row.check["last_error"]
    return row.page.moment(error["timestamp"]) if error else None


def _silenced_until(row: Row) -> Moment | None:
    return row.page.moment(row.check["silenced_until"])


def _duration(row: Row) -> str:
    return milliseconds(row.check["duration_ms"])


def _strip(row: Row) -> SafeString | str:
    return row.page.drawing(row.check["name"], row.page.phrases)


def _availability(row: Row) -> str:
    found, _ = row.check["availability"], row.page.phrases
    if found is None:
        return ""
    text = _("%(available)s available, %(known)s of the time known")
    return text % {"available": percent(found["ratio"]), "known": percent(found["known_ratio"])}


def _objective(row: Row) -> str:
    found, _ = row.check["objective"], row.page.phrases
    if found is None:
        return ""
    return f"{_('Objective %(target)s%%:') % {'target': found['target']}} {found['sentence']}"


def _left(row: Row) -> str:
    found = row.check["objective"]
    return percent(found["budget_remaining"]) if found else ""


def _circuit(row: Row) -> str:
    """Return what is to be said of a circuit breaker, if there is one."""
    circuit, wait, _ = row.check["circuit"], row.check["retry_after_seconds"], row.page.phrases
    if circuit is None:
        return ""
    text = f"{_('circuit')} {circuit['state']} ({circuit['mode']})"
    return text if wait is None else f"{text}, {_('next attempt in')} {_.duration(wait)}"


def _notable_circuit(row: Row) -> str:
    return "" if row.check["circuit"] == AUTOMATIC else str(row["circuit"])


def _depends_on(row: Row) -> str:
    parents, _ = row.check["depends_on"], row.page.phrases
    return f"{_('depends on')} {', '.join(parents)}" if parents else ""


def _is_url(row: Row) -> bool:
    runbook = row.check["runbook"]
    return runbook is not None and runbook.startswith(("http://", "https://"))


def _runbook_url(row: Row) -> str:
    return (row.check["runbook"] or "") if _is_url(row) else ""


def _runbook_text(row: Row) -> str:
    return "" if _is_url(row) else row.check["runbook"] or ""


def _nothing(row: Row) -> None:
    """Stand for what the context sets where it is so."""


VALUES: dict[str, Callable[[Row], Any]] = {
    "mark": _mark,
    "is_bad": _is_bad,
    "since": _since,
    "at": _at,
    "last_error_at": _last_error_at,
    "silenced_until": _silenced_until,
    "duration": _duration,
    "strip": _strip,
    "availability": _availability,
    "objective": _objective,
    "left": _left,
    "circuit": _circuit,
    "notable_circuit": _notable_circuit,
    "depends_on": _depends_on,
    "runbook_url": _runbook_url,
    "runbook_text": _runbook_text,
    "blocks": _nothing,
    "has_actions": _nothing,
    "last_action": _nothing,
    "heading": heading,
    "history": history,
}
