"""The permissions that the actions of the dashboard take. Changes no table."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("lifesigns", "0003_rollup")]

    operations: ClassVar[list[Operation]] = [
        migrations.AlterModelOptions(
            name="healthchecklog",
            options={
                "ordering": ("-checked_at",),
                "permissions": (
                    ("run_check", "Can run checks now"),
                    ("force_breaker", "Can reset and force circuit breakers"),
                ),
                "required_db_features": ("supports_json_field",),
                "verbose_name": "health check result",
                "verbose_name_plural": "health check results",
            },
        ),
    ]
