"""Which thresholds are in force: those saved in the admin, those of the settings, or the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.models import AlertThreshold
from django_lifesigns.runtime.saved_thresholds import validated
from django_lifesigns.runtime.thresholds import CHECKS, has_thresholds, judged
from django_lifesigns.settings.conf import read
from django_lifesigns.targets.discovery import discover
from lifesigns.specs import Thresholds

UNITS = {
    "disk_usage": lazy("%(number)s%%"),
    "memory_usage": lazy("%(number)s%%"),
    "error_rate": lazy("%(number)s%%"),
    "cpu_load": lazy("%(number)s per CPU"),
    "response_time": lazy("%(number)s ms"),
    "queue_depth": lazy("%(number)s tasks"),
}
SAVED, SETTINGS, DEFAULT = lazy("saved here"), lazy("LIFESIGNS setting"), lazy("default")
NOT_JUDGED = lazy("not judged until one is saved")


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdInForce:
    """The value of one metric and level, where it comes from, and the row that is saved for it, if any."""

    metric: str
    level: str
    value: float | None
    default: float
    source: str
    row: AlertThreshold | None

    def texts(self) -> dict[str, str]:
        """Return what is shown of it: labels, and values with their units."""
        return {
            "metric": str(AlertThreshold.Metric(self.metric).label),
            "level": str(AlertThreshold.Level(self.level).label),
            "value": with_unit(self.metric, self.value),
            "source": self.source,
            "default": with_unit(self.metric, self.default),
        }


def thresholds_in_force() -> list[ThresholdInForce]:
    """Return one for each metric and level. One query; the settings are read, and nothing is connected to."""
    rows = {(row.metric_type, row.alert_level): row for row in AlertThreshold.objects.all()[:100]}
    settings = _of_settings()
    return [
        threshold
        for metric, levels in AlertThreshold.DEFAULTS.items()
        for threshold in _of_metric(metric, {level: rows.get((metric, level)) for level in levels}, settings)
    ]


def with_unit(metric: str, value: float | None) -> str:
    """Return the value of a metric as people write it."""
    if value is None:
        return ""
    return str(UNITS.get(metric, "%(number)s")) % {"number": f"{value:.10g}"}


def _of_settings() -> dict[str, Thresholds]:
    """Return by metric the thresholds of the check that it governs, as the settings have them."""
    checks: dict[str, Any] = {check.key: check.check for check in discover(read())[0]}
    governed = {metric: checks[key] for metric, key in CHECKS.items() if key in checks}
    return {metric: check.thresholds for metric, check in governed.items() if has_thresholds(check)}


def _of_metric(
    metric: str, rows: dict[str, AlertThreshold | None], settings: dict[str, Thresholds]
) -> list[ThresholdInForce]:
    default = AlertThreshold.DEFAULTS[metric]
    enabled = [row for row in rows.values() if row and row.enabled]
    valid, _wrong = validated((row.metric_type, row.alert_level, row.threshold_value) for row in enabled)
    saved = valid.get(metric, {})
    found = judged(metric, saved, settings.get(metric))
    values = {"warning": found.degraded_above, "critical": found.error_above}
    result = []
    for level, value in values.items():
        source = SAVED if level in saved else DEFAULT if value == default[level] else SETTINGS
        judges = metric != "error_rate" or bool(saved)
        result.append(
            ThresholdInForce(
                metric=metric,
                level=level,
                value=value if judges else None,
                default=default[level],
                source=str(source if judges else NOT_JUDGED),
                row=rows[level],
            )
        )
    return result
