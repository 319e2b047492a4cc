"""What a migration has to say about tables that it adopts: to the log, and to the output of `manage.py migrate`."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.db import models
from django.db.models.signals import post_migrate

logger = logging.getLogger("django_lifesigns")

THRESHOLDS = "core_alert_threshold"
# Rows that are named.
SHOWN = 20

# By database, until the command prints them.
_waiting: dict[str, list[str]] = {}


def announce(using: str, text: str) -> None:
    """Log a text, and have `manage.py migrate` print it at its end, unless it is quiet."""
    logger.warning("migrations: %s", text)
    _waiting.setdefault(using, []).append(text)
    post_migrate.connect(_print, dispatch_uid=__name__)


def announce_thresholds(model: type[models.Model], using: str) -> None:
    """Say which thresholds of an adopted table govern the checks from now on: the replaced application read none."""
    from django_lifesigns.models import AlertThreshold

    if model._meta.db_table != THRESHOLDS:
        return
    rows = model._default_manager.using(using).filter(enabled=True).order_by("metric_type", "alert_level")
    governing, unknown = [], set()
    for metric, level, value in rows.values_list("metric_type", "alert_level", "threshold_value"):
        default = AlertThreshold.DEFAULTS.get(metric, {}).get(level)
        if default is None:
            unknown.add(f"{metric} {level}")
        else:
            governing.append(f"{metric} {level} {value} (default {default:g})")
    if governing:
        shown = ", ".join(governing[:SHOWN])
        hint = "Change or disable them in the admin, under Lifesigns, Alert thresholds."
        announce(using, f"{THRESHOLDS}: the thresholds of the adopted table govern from now on: {shown}. {hint}")
    if unknown:
        shown = ", ".join(sorted(unknown)[:SHOWN])
        announce(using, f"{THRESHOLDS}: no check has the thresholds {shown}; they stay, and govern nothing.")


def _print(using: str, verbosity: int = 1, stdout: Any = None, **_: object) -> None:
    texts = _waiting.pop(using, [])
    if verbosity:
        for text in texts:
            (stdout or sys.stdout).write(f"  {text}\n")
