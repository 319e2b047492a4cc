"""Creates the tables of what actions did, and of their switches."""

from __future__ import annotations

from typing import ClassVar

import django.utils.timezone
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from django_lifesigns.history.adoption import AdoptOrCreateModel


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("lifesigns", "0004_dashboard_permissions")]

    operations: ClassVar[list[Operation]] = [
        AdoptOrCreateModel(
            name="ActionRun",
            fields=[
                ("id", models.CharField(verbose_name="id", max_length=100, primary_key=True, serialize=False)),
                ("application", models.CharField(verbose_name="application", max_length=100)),
                ("name", models.CharField(verbose_name="name", max_length=100)),
                ("action", models.CharField(verbose_name="action", max_length=255)),
                ("check_name", models.CharField(verbose_name="check name", max_length=100, blank=True)),
                ("cause", models.CharField(verbose_name="cause", max_length=20)),
                ("author", models.CharField(verbose_name="author", max_length=150, blank=True)),
                ("reason", models.TextField(verbose_name="reason", blank=True)),
                ("state", models.CharField(verbose_name="state", max_length=20)),
                ("message", models.TextField(verbose_name="message", blank=True)),
                ("fence", models.BigIntegerField(verbose_name="fencing number", default=0)),
                ("process", models.CharField(verbose_name="process", max_length=255, blank=True)),
                ("started_at", models.DateTimeField(verbose_name="started at", db_index=True)),
                ("ended_at", models.DateTimeField(verbose_name="ended at", null=True, blank=True)),
                ("revision", models.BigIntegerField(verbose_name="revision", default=0)),
            ],
            options={
                "verbose_name": "run of an action",
                "verbose_name_plural": "runs of actions",
                "db_table": "lifesigns_action",
                "ordering": ("-started_at",),
                "indexes": [models.Index(fields=["name", "-started_at"], name="lifesigns_action_name_idx")],
            },
        ),
        AdoptOrCreateModel(
            name="ActionSwitch",
            fields=[
                (
                    "name",
                    models.CharField(
                        verbose_name="name",
                        primary_key=True,
                        serialize=False,
                        max_length=100,
                        default="*",
                        help_text="One of LIFESIGNS['ACTIONS']; * for all of them",
                    ),
                ),
                ("is_on", models.BooleanField(verbose_name="may run", default=False)),
                ("author", models.CharField(verbose_name="author", max_length=150, blank=True)),
                (
                    "changed_at",
                    models.DateTimeField(verbose_name="changed at", default=django.utils.timezone.now),
                ),
            ],
            options={
                "verbose_name": "switch of actions",
                "verbose_name_plural": "switches of actions",
                "db_table": "lifesigns_action_switch",
                "ordering": ("name",),
            },
        ),
    ]
