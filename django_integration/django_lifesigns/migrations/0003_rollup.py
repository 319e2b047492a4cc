"""Makes the table of roll-ups."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from django_lifesigns.history.adoption import AdoptOrCreateModel

SECONDS = {
    "healthy": "seconds healthy",
    "degraded": "seconds degraded",
    "error": "seconds in error",
    "blocked": "seconds blocked",
    "maintenance": "seconds in maintenance",
    "duration_seconds": "duration of all runs in seconds",
}
COUNTS = {
    "healthy_runs": "healthy runs",
    "degraded_runs": "degraded runs",
    "error_runs": "runs in error",
    "error_stretches": "times that it became an error",
    "unhealthy_stretches": "times that it became unhealthy",
    **{f"duration_{number}": f"runs by duration {number}" for number in range(14)},
}
PERIODS = ("minute", "hour", "day", "total")


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("lifesigns", "0002_incidents")]

    operations: ClassVar[list[Operation]] = [
        AdoptOrCreateModel(
            name="Rollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("check_name", models.CharField(verbose_name="check name", max_length=100)),
                (
                    "period",
                    models.CharField(verbose_name="period", max_length=6, choices=[(name, name) for name in PERIODS]),
                ),
                ("start", models.BigIntegerField(verbose_name="start")),
                ("source", models.CharField(verbose_name="source", max_length=16, default="", blank=True)),
                ("until", models.FloatField(verbose_name="counted until")),
                *((name, models.FloatField(verbose_name=shown, default=0.0)) for name, shown in SECONDS.items()),
                *((name, models.BigIntegerField(verbose_name=shown, default=0)) for name, shown in COUNTS.items()),
            ],
            options={
                "verbose_name": "roll-up",
                "verbose_name_plural": "roll-ups",
                "db_table": "lifesigns_rollup",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("check_name", "period", "start", "source"), name="lifesigns_rollup_once"
                    )
                ],
                "indexes": [models.Index(fields=["period", "start"], name="lifesigns_rollup_start_idx")],
            },
        ),
    ]
