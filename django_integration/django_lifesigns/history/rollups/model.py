"""The table of roll-ups."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.rollups.periods import PERIODS, TOTAL


def _seconds(name: Any) -> models.FloatField[float, float]:
    return models.FloatField(name, default=0.0)


def _count(name: Any) -> models.BigIntegerField[int, int]:
    return models.BigIntegerField(name, default=0)


def _duration(number: int) -> models.BigIntegerField[int, int]:
    return _count(format_lazy("{runs} {number}", runs=lazy("runs by duration"), number=number))


class Rollup(models.Model):
    """What one check did in one minute, hour or day of UTC, added up over all processes and hosts that watched it.

    Times are seconds since 1970, which know no zone and no summer. With several sources, each second of each of them
    counts: `error / (healthy + degraded + error)` is the mean over them. `covered` counts a second once, however many
    have counted it: what is missing from the length of the period is unknown. Rows of the period ``total`` are what has
    been counted of each source.
    """

    check_name = models.CharField(lazy("check name"), max_length=100)
    period = models.CharField(
        lazy("period"), max_length=6, choices=[(name, name) for name in (*(each.name for each in PERIODS), TOTAL)]
    )
    start = models.BigIntegerField(lazy("start"))
    source = models.CharField(lazy("source"), max_length=16, default="", blank=True)
    until = models.FloatField(lazy("counted until"))
    healthy = _seconds(lazy("seconds healthy"))
    degraded = _seconds(lazy("seconds degraded"))
    error = _seconds(lazy("seconds in error"))
    blocked = _seconds(lazy("seconds blocked"))
    maintenance = _seconds(lazy("seconds in maintenance"))
    covered = _seconds(lazy("seconds covered"))
    duration_seconds = _seconds(lazy("duration of all runs in seconds"))
    healthy_runs = _count(lazy("healthy runs"))
    degraded_runs = _count(lazy("degraded runs"))
    error_runs = _count(lazy("runs in error"))
    error_stretches = _count(lazy("times that it became an error"))
    unhealthy_stretches = _count(lazy("times that it became unhealthy"))
    duration_0 = _duration(0)
    duration_1 = _duration(1)
    duration_2 = _duration(2)
    duration_3 = _duration(3)
    duration_4 = _duration(4)
    duration_5 = _duration(5)
    duration_6 = _duration(6)
    duration_7 = _duration(7)
    duration_8 = _duration(8)
    duration_9 = _duration(9)
    duration_10 = _duration(10)
    duration_11 = _duration(11)
    duration_12 = _duration(12)
    duration_13 = _duration(13)

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
