"""A report as a page that needs no other file."""

from __future__ import annotations

from pathlib import Path

from django.template import Context, Engine
from django.utils.translation import get_language, get_language_bidi, ngettext
from django.utils.translation import gettext as _

from django_lifesigns.history.objectives.sentence import sentence
from django_lifesigns.history.reports.cells import (
    columns,
    incident_columns,
    incident_rows,
    moment,
    rows,
    title,
)
from django_lifesigns.history.reports.collect import SliceFigures
from django_lifesigns.history.reports.in_time import Report

PACKAGE = Path(__file__).resolve().parents[2]
# Beside the templates the palette, which is a static file of the admin's, too.
FOLDERS = [str(PACKAGE / "templates"), str(PACKAGE / "static")]


def html(report: Report) -> str:
    """Write a page that needs no other file."""
    history = report.history
    busiest = max((part.healthy + part.degraded + part.error for part in history.slices), default=0) or 1
    bars = [
        {
            "title": f"{moment(part.since)}: {_counts(part)}",
            "heights": [
                (name, round(100 * getattr(part, name) / busiest, 1)) for name in ("error", "degraded", "healthy")
            ],
        }
        for part in history.slices
    ]
    context = {
        "title": title(report),
        "language": get_language() or "en",
        "direction": "rtl" if get_language_bidi() else "ltr",
        "columns": columns(),
        "rows": list(zip(rows(report), report.checks.values(), strict=True)),
        "bars": bars,
        "incident_columns": incident_columns(),
        "incidents": incident_rows(report),
        "objectives": [(name, sentence(state)) for name, state in report.objectives.items()],
        "problems": [{**problem, "checked_at": moment(problem["checked_at"])} for problem in history.problems],
    }
    engine = Engine(dirs=FOLDERS, libraries={"i18n": "django.templatetags.i18n"})
    return engine.get_template("lifesigns/report.html").render(Context(context, use_l10n=False))


def _counts(part: SliceFigures) -> str:
    errors = ngettext("%(count)d error", "%(count)d errors", part.error) % {"count": part.error}
    return _("%(healthy)d healthy, %(degraded)d degraded, %(errors)s") % {
        "healthy": part.healthy,
        "degraded": part.degraded,
        "errors": errors,
    }
