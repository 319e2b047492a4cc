"""The table of roll-ups."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.rollups.periods import PERIODS, TOTAL


def _seconds(name: str) -> models.FloatField[float, float]:
    return models.FloatField(name, default=0.0)


def _count(name: str) -> models.BigIntegerField[int, int]:
    return models.BigIntegerField(name, default=0)


class Rollup(models.Model):
    """What one check did in one minute, hour or day of UTC, added up over all processes and hosts that watched it.

    Times are seconds since 1970, which know no zone and no summer. With several sources, each second of each of them
    counts: `error / (healthy + degraded + error)` is the mean over them. What is missing from the length of the period
    is unknown. Rows of the period ``total`` are what has been counted of each source.
    """

    check_name = models.CharField(lazy("check name"), max_length=100)
    period = models.CharField(
        lazy("period"), max_length=6, choices=[(name, name) for name in (*(each.name for each in PERIODS), TOTAL)]
    )
    start = models.BigIntegerField(lazy("start"))
    source = models.CharField(lazy("source"), max_length=16, default="", blank=True)
    until = models.FloatField(lazy("counted until"))
    healthy = _seconds("healthy")
    degraded = _seconds("degraded")
    error = _seconds("error")
    blocked = _seconds("blocked")
    maintenance = _seconds("maintenance")
    duration_seconds = _seconds("duration seconds")
    healthy_runs = _count("healthy runs")
    degraded_runs = _count("degraded runs")
    error_runs = _count("error runs")
    error_stretches = _count("error stretches")
    unhealthy_stretches = _count("unhealthy stretches")
    duration_0 = _count("duration 0")
    duration_1 = _count("duration 1")
    duration_2 = _count("duration 2")
    duration_3 = _count("duration 3")
    duration_4 = _count("duration 4")
    duration_5 = _count("duration 5")
    duration_6 = _count("duration 6")
    duration_7 = _count("duration 7")
    duration_8 = _count("duration 8")
    duration_9 = _count("duration 9")
    duration_10 = _count("duration 10")
    duration_11 = _count("duration 11")
    duration_12 = _count("duration 12")
    duration_13 = _count("duration 13")

    objects: ClassVar[models.Manager[Rollup]] = models.Manager()

    class Meta:
        app_label = "lifesigns"
        db_table = "lifesigns_rollup"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["check_name", "period", "start", "source"], name="lifesigns_rollup_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["period", "start"], name="lifesigns_rollup_start_idx")
        ]
        verbose_name = lazy("roll-up")
        verbose_name_plural = lazy("roll-ups")

    def __str__(self) -> str:
        return f"{self.check_name}: {self.period} from {self.start}"
