"""The results of a report as a page lists them: the worst first, and what a failure blocks below its root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from django_lifesigns.http.words import Moment, milliseconds, moment_of, word

Results = Mapping[str, Mapping[str, Any]]
FAILING = "error"
# In this order; what has another status counts as failing.
SECTIONS = (FAILING, "degraded", "healthy")
SKIPPED = "skipped"
LATEST = "9999"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A check in a list: what of its result may be shown, empty or None where there is nothing to show."""

    name: str
    url: str | None
    status: str
    word: str
    is_critical: bool
    message: str
    at: Moment | None
    duration: str
    error_type: str
    since: Moment | None
    circuit: str
    is_pending: bool
    blocked_by: str
    blocked: tuple[CheckRow, ...] = ()

    @property
    def blocked_names(self) -> str:
        """The names of the checks that it blocks."""
        return ", ".join(row.name for row in self.blocked)


@dataclass(frozen=True, slots=True)
class Section:
    """The checks of one status."""

    title: str
    rows: tuple[CheckRow, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """All checks of a report."""

    sections: tuple[Section, ...]
    skipped: tuple[CheckRow, ...]

    @property
    def skipped_names(self) -> str:
        """The names of the checks that are skipped."""
        return ", ".join(row.name for row in self.skipped)


def listing(results: Results, url_of: Callable[[str], str | None], critical: Collection[str], now: datetime) -> Listing:
    """Return the checks by status.

    Args:
        results: by name, with or without details.
        url_of: the URL of a check, None where there is none.
        critical: the names of those to mark.
        now: of the ages.
    """
    below: dict[str, list[str]] = {}
    for name in results:
        if (root := root_of(name, results)) != name:
            below.setdefault(root, []).append(name)
    blocked = {name for names in below.values() for name in names}

    def row(name: str) -> CheckRow:
        children = tuple(_row(child, results[child], url_of, critical, now) for child in below.get(name, ()))
        return _row(name, results[name], url_of, critical, now, children)

    rows = [row(name) for name in results if name not in blocked]
    titles = {FAILING: _("Failing"), "degraded": _("Degraded"), "healthy": _("Healthy")}
    found = {status: tuple(_worst_first(row for row in rows if _section(row) == status)) for status in SECTIONS}
    sections = tuple(Section(titles[status], found[status]) for status in SECTIONS if found[status])
    return Listing(sections, tuple(row for row in rows if row.status == SKIPPED))


def _section(row: CheckRow) -> str:
    return row.status if row.status in (*SECTIONS, SKIPPED) else FAILING


def _worst_first(rows: Iterable[CheckRow]) -> list[CheckRow]:
    """Critical ones, then those that are in their status for longest."""
    return sorted(rows, key=lambda row: (not row.is_critical, row.since.iso if row.since else LATEST))


def root_of(name: str, results: Results) -> str:
    """Return the check that blocks this one, or that which blocks that one, and so on, as far as they are shown."""
    seen, root = {name}, name
    while (parent := str(results[root].get("blocked_by", ""))) in results:
        if parent in seen:  # dependencies make no circle; what would be in one is shown by itself
            return name
        seen.add(parent)
        root = parent
    return root


def _row(
    name: str,
    result: Mapping[str, Any],
    url_of: Callable[[str], str | None],
    critical: Collection[str],
    now: datetime,
    blocked: tuple[CheckRow, ...] = (),
) -> CheckRow:
    circuit = result.get("circuit_state", "closed")
    has_run = result["status"] != SKIPPED and "blocked_by" not in result
    has_problem = result["status"] not in ("healthy", SKIPPED)
    return CheckRow(
        name=name,
        url=url_of(name),
        status=result["status"],
        word=word(result["status"]),
        is_critical=name in critical,
        message=str(result.get("message", "")),
        at=moment_of(result.get("timestamp"), now),
        duration=milliseconds(result.get("duration_ms")) if has_run else "",
        error_type=result.get("error_type", ""),
        since=moment_of(result.get("since"), now) if has_problem else None,
        circuit="" if circuit == "closed" else circuit,
        is_pending=bool(result.get("pending")),
        blocked_by=result.get("blocked_by", ""),
        blocked=blocked,
    )
