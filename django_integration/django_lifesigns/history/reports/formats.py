"""The formats of a report: a function for each, from the history to text."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.reports.collect import CheckFigures, History
from django_lifesigns.history.reports.previous_keys import previous_keys

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
WIDTH = 120
COLUMNS = (
    "check",
    "results",
    "healthy",
    "degraded",
    "errors",
    "uptime %",
    "median ms",
    "p95 ms",
    "max ms",
    "last error",
)


def text(history: History) -> str:
    """For a terminal or a mail."""
    out = StringIO()
    console = Console(file=out, width=WIDTH, color_system=None)
    console.print(_title(history), markup=False)
    table = Table(*COLUMNS, box=None, header_style="bold")
    for row in _rows(history):
        table.add_row(*row)
    console.print(table)
    if history.problems:
        console.print("\nLatest errors")
    for problem in history.problems:
        console.print(f"  {_time(problem['checked_at'])}  {problem['check_name']}: {escape(_line(problem['message']))}")
    return out.getvalue()


def json_(history: History) -> str:
    """For programs."""
    checks = [_figures(name, check) for name, check in history.checks.items()]
    timeline = [
        {"since": utc(part.since).isoformat(), "healthy": part.healthy, "degraded": part.degraded, "errors": part.error}
        for part in history.slices
    ]
    problems = [{**problem, "checked_at": utc(problem["checked_at"]).isoformat()} for problem in history.problems]
    total, now = history.total, timezone.now()
    report = {
        "generated_at": utc(now).isoformat(),
        "since": utc(history.since).isoformat(),
        "until": utc(history.until).isoformat(),
        "results": total.results,
        "uptime_percentage": round(total.uptime, 2),
        "checks": checks,
        "timeline": timeline,
        "latest_errors": problems,
        **previous_keys(history, now),
    }
    return json.dumps(report, indent=2) + "\n"


def csv_(history: History) -> str:
    """A row for each check."""
    out = StringIO()
    fields = list(_figures("", CheckFigures()))
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_figures(name, check) for name, check in history.checks.items())
    return out.getvalue()


def markdown(history: History) -> str:
    """For a wiki or a pull request."""
    lines = [f"# {_title(history)}", "", f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 2)}---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(history)]
    if history.problems:
        lines += ["", "## Latest errors", "", "| when | check | message |", "|---|---|---|"]
    for problem in history.problems:
        message = _line(problem["message"]).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {_time(problem['checked_at'])} | {problem['check_name']} | {message} |")
    return "\n".join(lines) + "\n"


def html(history: History) -> str:
    """A page that needs nothing else."""
    busiest = max((part.healthy + part.degraded + part.error for part in history.slices), default=0) or 1
    bars = [
        {
            "title": f"{_time(part.since)}: {part.healthy} healthy, {part.degraded} degraded, {part.error} errors",
            "heights": [
                (name, round(100 * getattr(part, name) / busiest, 1)) for name in ("error", "degraded", "healthy")
            ],
        }
        for part in history.slices
    ]
    problems = [{**problem, "checked_at": _time(problem["checked_at"])} for problem in history.problems]
    context = {
        "title": _title(history),
        "columns": COLUMNS,
        "rows": list(zip(_rows(history), history.checks.values(), strict=True)),
        "bars": bars,
        "problems": problems,
    }
    return Engine(dirs=[str(TEMPLATES)]).get_template("lifesigns/report.html").render(Context(context, use_l10n=False))


FORMATS: dict[str, Callable[[History], str]] = {
    "text": text,
    "json": json_,
    "html": html,
    "markdown": markdown,
    "csv": csv_,
}


def _title(history: History) -> str:
    total = history.total
    span = f"{_time(history.since)} to {_time(history.until)}"
    return f"Health from {span}: {total.uptime:.2f} % of {total.results} results healthy"


def _figures(name: str, check: CheckFigures) -> dict[str, Any]:
    median, p95 = check.durations.percentile(50), check.durations.percentile(95)
    return {
        "check": name,
        "results": check.results,
        "healthy": check.healthy,
        "degraded": check.degraded,
        "errors": check.error,
        "uptime_percentage": round(check.uptime, 2),
        "median_ms": None if median is None else round(median, 2),
        "p95_ms": None if p95 is None else round(p95, 2),
        "max_ms": round(check.durations.longest, 2),
        "last_error_at": utc(check.last_error_at).isoformat() if check.last_error_at else None,
    }


def _rows(history: History) -> list[list[str]]:
    rows = []
    for name, check in history.checks.items():
        figures = _figures(name, check)
        last = _time(check.last_error_at) if check.last_error_at else ""
        rows.append([str("" if value is None else value) for value in [*list(figures.values())[:-1], last]])
    return rows


def _time(at: datetime) -> str:
    return f"{utc(at):%Y-%m-%d %H:%M:%S} UTC"


def _line(message: str) -> str:
    return " ".join(message.split())
