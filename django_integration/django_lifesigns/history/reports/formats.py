"""The formats of a report: a function for each, from the history to text."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils import timezone
from django.utils.translation import get_language, get_language_bidi, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.reports.alignment import lines as aligned_lines
from django_lifesigns.history.reports.collect import CheckFigures, History, SliceFigures
from django_lifesigns.history.reports.previous_keys import previous_keys

PACKAGE = Path(__file__).resolve().parents[2]
# Beside the templates the palette, which is a static file of the admin's, too.
FOLDERS = [str(PACKAGE / "templates"), str(PACKAGE / "static")]
COLUMNS = (
    lazy("check"),
    lazy("results"),
    lazy("healthy"),
    lazy("degraded"),
    lazy("errors"),
    lazy("uptime %"),
    lazy("median ms"),
    lazy("p95 ms"),
    lazy("max ms"),
    lazy("last error"),
)
NUMBERS = range(1, len(COLUMNS) - 1)


def text(history: History) -> str:
    """Write it for a terminal or a mail."""
    lines = [_title(history), "", *aligned_lines([_columns(), *_rows(history)], NUMBERS)]
    if history.problems:
        lines += ["", _("Latest errors")]
    for problem in history.problems:
        lines.append(f"  {_time(problem['checked_at'])}  {problem['check_name']}: {_line(problem['message'])}")
    return "\n".join(lines) + "\n"


def json_(history: History) -> str:
    """Write it for programs."""
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
    return to_json(report, indent=2) + "\n"


def csv_(history: History) -> str:
    """Write a row for each check."""
    out = StringIO()
    fields = list(_figures("", CheckFigures()))
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_figures(name, check) for name, check in history.checks.items())
    return out.getvalue()


def markdown(history: History) -> str:
    """Write it for a wiki or a pull request."""
    lines = [f"# {_title(history)}", "", f"| {' | '.join(_columns())} |", f"|---|{'---:|' * (len(COLUMNS) - 2)}---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(history)]
    if history.problems:
        lines += [
            "",
            f"## {_('Latest errors')}",
            "",
            f"| {_('when')} | {_('check')} | {_('message')} |",
            "|---|---|---|",
        ]
    for problem in history.problems:
        message = _line(problem["message"]).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {_time(problem['checked_at'])} | {problem['check_name']} | {message} |")
    return "\n".join(lines) + "\n"


def html(history: History) -> str:
    """Write a page that needs no other file."""
    busiest = max((part.healthy + part.degraded + part.error for part in history.slices), default=0) or 1
    bars = [
        {
            "title": f"{_time(part.since)}: {_counts(part)}",
            "heights": [
                (name, round(100 * getattr(part, name) / busiest, 1)) for name in ("error", "degraded", "healthy")
            ],
        }
        for part in history.slices
    ]
    problems = [{**problem, "checked_at": _time(problem["checked_at"])} for problem in history.problems]
    context = {
        "title": _title(history),
        "language": get_language() or "en",
        "direction": "rtl" if get_language_bidi() else "ltr",
        "columns": _columns(),
        "rows": list(zip(_rows(history), history.checks.values(), strict=True)),
        "bars": bars,
        "problems": problems,
    }
    engine = Engine(dirs=FOLDERS, libraries={"i18n": "django.templatetags.i18n"})
    return engine.get_template("lifesigns/report.html").render(Context(context, use_l10n=False))


FORMATS: dict[str, Callable[[History], str]] = {
    "text": text,
    "json": json_,
    "html": html,
    "markdown": markdown,
    "csv": csv_,
}


def _title(history: History) -> str:
    total = history.total
    values = {
        "since": _time(history.since),
        "until": _time(history.until),
        "uptime": f"{total.uptime:.2f}",
        "count": total.results,
    }
    if not total.results:
        return _("Health from %(since)s to %(until)s: no results") % values
    text = ngettext(
        "Health from %(since)s to %(until)s: %(uptime)s%% of %(count)d result healthy",
        "Health from %(since)s to %(until)s: %(uptime)s%% of %(count)d results healthy",
        total.results,
    )
    return text % values


def _columns() -> list[str]:
    return [str(column) for column in COLUMNS]


def _counts(part: SliceFigures) -> str:
    errors = ngettext("%(count)d error", "%(count)d errors", part.error) % {"count": part.error}
    return _("%(healthy)d healthy, %(degraded)d degraded, %(errors)s") % {
        "healthy": part.healthy,
        "degraded": part.degraded,
        "errors": errors,
    }


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
