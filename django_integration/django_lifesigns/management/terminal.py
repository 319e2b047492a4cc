"""How reports look in a terminal."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import OutputWrapper
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

COLOURS = {"healthy": "green", "degraded": "yellow", "error": "red", "unhealthy": "red", "skipped": "dim"}
_NOWHERE = logging.NullHandler()


def only_results() -> None:
    """Keep the log of checks off a terminal that shows their results, where the project has configured no logging."""
    logging.getLogger("lifesigns.checks").addHandler(_NOWHERE)


def console(out: OutputWrapper) -> Console:
    """A console that writes where the command does."""
    return Console(file=out, highlight=False)  # type: ignore[arg-type]  # writes and flushes like a file


def coloured(text: str, status: str) -> str:
    """The text, as it is, in the colour of a status."""
    return f"[{COLOURS[status]}]{escape(text)}[/]"


def table(report: Any) -> RenderableType:
    """A line for each check, and the whole."""
    return Group(_rows(report), whole(report))


def live(report: Any, note: str) -> RenderableType:
    """The same to be drawn again and again. The whole comes first: of a low terminal the end would be cut off."""
    return Group(f"{whole(report)} [dim]({escape(note)})[/]", _rows(report))


def whole(report: Any) -> str:
    """The state of the whole, and how many checks are in which."""
    return f"{coloured(report['message'], report['status'])}: {counts(report)}"


def _rows(report: Any) -> Table:
    rows = Table("Check", "Status", "ms", "Message", box=None, header_style="bold")
    for name, result in report["checks"].items():
        status = coloured(result["status"], result["status"])
        rows.add_row(name, status, f"{result['duration_ms']:.1f}", escape(result["message"]))
    return rows


def counts(report: Any) -> str:
    """How many checks are in which state."""
    return ", ".join(f"{report['summary'][key]} {key}" for key in ("healthy", "degraded", "errors", "skipped"))


def line(report: Any) -> str:
    """The whole in one line: when, what, and which checks are not well."""
    problems = [f"{name} is {result['status']}" for name, result in report["checks"].items() if _ill(result)]
    return f"{report['timestamp']} {report['status']}: {'; '.join([counts(report), *problems])}"


def _ill(result: Any) -> bool:
    return result["status"] in ("degraded", "error")
