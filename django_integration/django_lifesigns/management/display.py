"""Reports as the commands show them: as a table, as lines, and as one line."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.core.management.color import Style
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_lifesigns.management.terminal import Block, Table
from django_lifesigns.settings.problems import Problem

STYLES = {"healthy": "SUCCESS", "degraded": "WARNING", "error": "ERROR", "unhealthy": "ERROR"}
STATUS, MILLISECONDS, AGE = 1, 2, 3
_NOWHERE = logging.NullHandler()


def only_results() -> None:
    """Keep the log of checks off a terminal that shows their results, where the project has configured no logging."""
    logging.getLogger("lifesigns.checks").addHandler(_NOWHERE)


def without_problems() -> None:
    """Keep what is wrong with the settings off it, too: see `only_unreported`."""
    logging.getLogger("django_lifesigns").addHandler(_NOWHERE)


def only_unreported(problems: Iterable[Problem]) -> Iterator[str]:
    """Yield what is wrong with the settings and stands in no report, where the project has configured no logging."""
    logger: logging.Logger | None = logging.getLogger("django_lifesigns")
    while logger is not None:
        if any(handler is not _NOWHERE for handler in logger.handlers):
            return
        logger = logger.parent
    yield from (problem.text for problem in problems if not problem.is_reported)


class Display:
    """Reports in the colours of a command.

    Args:
        style: of the command.
        critical: the names of the critical checks, which are marked.
        unfolded: show each skipped check, with the reason, in place of one line for all.
    """

    def __init__(self, style: Style, critical: Collection[str], *, unfolded: bool = False) -> None:
        self._style = style
        self._critical = critical
        self._unfolded = unfolded

    def table(self, report: Any) -> Block:
        """Return a row for each check, and the overall health status below."""
        return Block(*self._rows(report), "", self.overall(report))

    def live(self, report: Any, note: str) -> Block:
        """Return the same for a screen that is redrawn: the overall status first, since a low screen cuts the end."""
        return Block(f"{self.overall(report)} ({note})", "", *self._rows(report))

    def text(self, report: Any) -> str:
        """Return a line for each check after one for the overall status, for `grep`."""
        lines = [f"{report['status']} {report['message']}"]
        for name, result in self._shown(report).items():
            age = f" ({_('%(age)s old') % {'age': _age(result)}})" if _age(result) else ""
            lines.append(f"{name}: {result['status']} {_one_line(result['message'])}{age}".rstrip())
        return "\n".join([*lines, *self._folded(report)])

    def overall(self, report: Any) -> str:
        """Return the overall health status, and how many checks are in which."""
        return f"{self._painted(report['message'], report['status'])}: {counts(report)}"

    def _rows(self, report: Any) -> list[str | Table]:
        shown = self._shown(report)
        statuses = [result["status"] for result in shown.values()]
        rows = [[_("Check"), _("Status"), _("ms"), _("Age"), _("Message")]]
        for name, result in shown.items():
            mark = f"{name} *" if name in self._critical else name
            message = _one_line(result["message"])
            rows.append([mark, result["status"], f"{result['duration_ms']:.1f}", _age(result), message])
        if not any(row[AGE] for row in rows[1:]):
            rows = [[*row[:AGE], *row[AGE + 1 :]] for row in rows]

        def paint(row: int, column: int, cell: str) -> str:
            if row == 0:
                return self._style.MIGRATE_LABEL(cell)
            return self._painted(cell, statuses[row - 1]) if column == STATUS else cell

        notes = [_("* critical")] if any(name in self._critical for name in shown) else []
        return [Table(rows, (MILLISECONDS,), paint), *notes, *self._folded(report)]

    def _shown(self, report: Any) -> dict[str, Any]:
        checks: dict[str, Any] = report["checks"]
        return {name: found for name, found in checks.items() if self._unfolded or found["status"] != "skipped"}

    def _folded(self, report: Any) -> list[str]:
        skipped = [name for name in report["checks"] if name not in self._shown(report)]
        if not skipped:
            return []
        text = _("%(count)d skipped (--all says why): %(names)s")
        return [text % {"count": len(skipped), "names": ", ".join(skipped)}]

    def _painted(self, text: str, status: str) -> str:
        style = STYLES.get(status)
        painted: str = getattr(self._style, style)(text) if style else text
        return painted


def counts(report: Any) -> str:
    """Return how many checks have which status."""
    summary = report["summary"]
    return ", ".join(
        (
            _("%(count)d healthy") % {"count": summary["healthy"]},
            _("%(count)d degraded") % {"count": summary["degraded"]},
            ngettext("%(count)d error", "%(count)d errors", summary["errors"]) % {"count": summary["errors"]},
            _("%(count)d skipped") % {"count": summary["skipped"]},
        )
    )


def line(report: Any) -> str:
    """Return the report in one line: when, which status, and the checks that are not healthy."""
    problems = [
        _("%(name)s is %(status)s") % {"name": name, "status": result["status"]}
        for name, result in report["checks"].items()
        if result["status"] in ("degraded", "error")
    ]
    return f"{report['timestamp']} {report['status']}: {'; '.join([counts(report), *problems])}"


def _age(result: Any) -> str:
    """Return how old a result is that was not found by this sweep."""
    if not result.get("cached") or "age_seconds" not in result:
        return ""
    seconds = result["age_seconds"]
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _one_line(message: str) -> str:
    return " ".join(message.split())
