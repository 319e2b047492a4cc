"""Reads the saved thresholds from their table, and takes none on trust: anybody may have written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connections, router

from django_lifesigns.runtime.threshold_rules import wanted_instead
from lifesigns.redaction import redact

Saved = Mapping[str, Mapping[str, float]]
# Twelve are valid; an adopted table may have no constraint that keeps it so small.
MOST_ROWS = 1_000
# Texts of wrong rows that are kept, and characters of a name in them.
MOST_WRONG, MOST_CHARACTERS = 20, 50


def read_saved() -> tuple[Saved, list[str]]:
    """Return the enabled thresholds by metric and level, and what is wrong with the rows that are left out."""
    from django_lifesigns.models import AlertThreshold

    rows = AlertThreshold.objects.filter(enabled=True).order_by("pk")
    return validated(rows.values_list("metric_type", "alert_level", "threshold_value")[:MOST_ROWS])


def is_missing() -> bool:
    """Return whether the table does not exist, as before `migrate`. It raises what the database does in an outage."""
    from django_lifesigns.models import AlertThreshold

    connection = connections[router.db_for_read(AlertThreshold)]
    with connection.cursor() as cursor:
        return AlertThreshold._meta.db_table not in connection.introspection.table_names(cursor)


def validated(rows: Iterable[tuple[object, object, object]]) -> tuple[Saved, list[str]]:
    """Return the rows (metric, level, value) that can govern, and one line for each that cannot.

    By the rules of the admin. A warning above its critical threshold is left out, and the critical one governs.
    """
    saved: dict[str, dict[str, float]] = {}
    wrong: list[str] = []
    for metric, level, value in rows:
        problem = _problem(metric, level, value)
        if problem is None:
            saved.setdefault(str(metric), {})[str(level)] = float(value)  # type: ignore[arg-type]
        else:
            wrong.append(f"the saved {_shown(metric)} {_shown(level)} is ignored: {problem}")
    for metric, levels in saved.items():
        if "critical" in levels and levels.get("warning", 0.0) > levels["critical"]:
            wrong.append(f"the saved {metric} warning is ignored: it is above the critical one, {levels['critical']:g}")
            del levels["warning"]
    return saved, wrong[:MOST_WRONG]


def _problem(metric: object, level: object, value: object) -> str | None:
    from django_lifesigns.models import AlertThreshold

    if not isinstance(metric, str) or metric not in AlertThreshold.DEFAULTS:
        return "there is no such metric"
    if level not in ("warning", "critical"):
        return "there is no such level"
    wanted = wanted_instead(metric, value)
    return f"it is not {wanted}" if wanted else None


def _shown(name: object) -> str:
    """Return a name of the table for the log: a stranger's, so that it is short, of one line and without secrets."""
    text = name if isinstance(name, str) else type(name).__name__
    return text if text.isidentifier() and len(text) <= MOST_CHARACTERS else redact(ascii(text[:MOST_CHARACTERS]))
