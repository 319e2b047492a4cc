"""The formats of a report: a function for each, from what it contains to text."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from io import StringIO

from django.utils import timezone
from django.utils.translation import gettext as _

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.objectives.sentence import sentence
from django_lifesigns.history.reports.alignment import lines as aligned_lines
from django_lifesigns.history.reports.cells import (
    FIGURES,
    NUMBERS,
    columns,
    figures,
    incident_columns,
    incident_rows,
    moment,
    rows,
    title,
)
from django_lifesigns.history.reports.in_time import Report
from django_lifesigns.history.reports.page import html
from django_lifesigns.history.reports.previous_keys import previous_keys
from lifesigns.plain import line


def text(report: Report) -> str:
    """Write it for a terminal or a mail."""
    lines = [title(report), "", *aligned_lines([columns(), *rows(report)], NUMBERS)]
    if report.objectives:
        lines += ["", _("Objectives"), *(f"  {name}: {sentence(state)}" for name, state in report.objectives.items())]
    if report.incidents:
        table = aligned_lines([incident_columns(), *incident_rows(report)], (2,))
        lines += ["", _("Incidents"), *(f"  {row}" for row in table)]
    if report.history.problems:
        lines += ["", _("Latest errors")]
    for problem in report.history.problems:
        lines.append(f"  {moment(problem['checked_at'])}  {problem['check_name']}: {line(problem['message'])}")
    return "\n".join(lines) + "\n"


def json_(report: Report) -> str:
    """Write it for programs."""
    history = report.history
    timeline = [
        {"since": utc(part.since).isoformat(), "healthy": part.healthy, "degraded": part.degraded, "errors": part.error}
        for part in history.slices
    ]
    problems = [{**problem, "checked_at": utc(problem["checked_at"]).isoformat()} for problem in history.problems]
    now = timezone.now()
    incidents = [
        {
            "check": incident.check,
            "status": incident.status,
            "since": incident.since.isoformat(),
            "until": incident.until.isoformat() if incident.until else None,
            "seconds": round(incident.duration(utc(history.until)).total_seconds(), 3),
            "cause": incident.cause,
            "blocked": list(incident.blocked),
        }
        for incident in report.incidents
    ]
    found = {
        "generated_at": utc(now).isoformat(),
        "since": utc(history.since).isoformat(),
        "until": utc(history.until).isoformat(),
        "results": history.total.results,
        "checks": [figures(name, report) for name in report.checks],
        "incidents": incidents,
        "objectives": [state.as_dict() for state in report.objectives.values()],
        "timeline": timeline,
        "latest_errors": problems,
        **previous_keys(history, now),
    }
    return to_json(found, indent=2) + "\n"


def csv_(report: Report) -> str:
    """Write a row for each check."""
    out = StringIO()
    writer = csv.DictWriter(out, FIGURES, lineterminator="\n")
    writer.writeheader()
    for name in report.checks:
        writer.writerow({key: _no_formula(value) for key, value in figures(name, report).items()})
    return out.getvalue()


def markdown(report: Report) -> str:
    """Write it for a wiki or a pull request."""
    header = columns()
    lines = [f"# {title(report)}", "", *_table(header, rows(report), f"|---|{'---:|' * (len(header) - 2)}---|")]
    if report.objectives:
        lines += ["", f"## {_('Objectives')}", ""]
        lines += [f"- {name}: {_cell(sentence(state))}" for name, state in report.objectives.items()]
    if report.incidents:
        lines += ["", f"## {_('Incidents')}", "", *_table(incident_columns(), incident_rows(report))]
    if report.history.problems:
        found = [
            [moment(problem["checked_at"]), problem["check_name"], line(problem["message"])]
            for problem in report.history.problems
        ]
        lines += ["", f"## {_('Latest errors')}", "", *_table([_("when"), _("check"), _("message")], found)]
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], found: Sequence[Sequence[str]], rule: str = "") -> list[str]:
    """Return a table of Markdown."""
    table = [f"| {' | '.join(header)} |", rule or f"|{'---|' * len(header)}"]
    return [*table, *(f"| {' | '.join(map(_cell, row))} |" for row in found)]


def _cell(text: str) -> str:
    return line(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _no_formula(value: object) -> object:
    """Return a value of which a spreadsheet makes no formula: names in a table of results may be anybody's."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "json": json_,
    "html": html,
    "markdown": markdown,
    "csv": csv_,
}
