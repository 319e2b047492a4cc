"""Creates the tables of incidents, of their deliveries, and of silences."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import django_lifesigns.alerts.tables
from django_lifesigns.history.adoption import AdoptOrCreateModel

SEVERITIES = [("critical", "Critical"), ("error", "Error"), ("warning", "Warning")]


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("lifesigns", "0001_initial")]

    operations: ClassVar[list[Operation]] = [
        AdoptOrCreateModel(
            name="Incident",
            fields=[
                ("id", models.CharField(verbose_name="id", max_length=100, primary_key=True, serialize=False)),
                ("application", models.CharField(verbose_name="application", max_length=100)),
                ("check_name", models.CharField(verbose_name="check name", max_length=100)),
                ("state", models.CharField(verbose_name="state", max_length=20)),
                ("severity", models.CharField(verbose_name="severity", choices=SEVERITIES, max_length=20)),
                ("message", models.TextField(verbose_name="message", blank=True)),
                ("since", models.DateTimeField(verbose_name="since", db_index=True)),
                ("fired_at", models.DateTimeField(verbose_name="fired at", blank=True, null=True)),
                ("resolved_at", models.DateTimeField(verbose_name="resolved at", blank=True, null=True)),
                ("acknowledged_by", models.CharField(verbose_name="acknowledged by", blank=True, max_length=150)),
                (
                    "acknowledgement",
                    models.TextField(verbose_name="comment of the acknowledgement", blank=True),
                ),
                ("is_flapping", models.BooleanField(verbose_name="flapping", default=False)),
                ("revision", models.BigIntegerField(verbose_name="revision", default=0)),
                ("record", models.JSONField(verbose_name="record", blank=True, default=dict)),
                ("instance", models.CharField(verbose_name="instance", max_length=255)),
                (
                    "mirrored_at",
                    models.DateTimeField(verbose_name="mirrored at", default=django.utils.timezone.now),
                ),
                (
                    "retry_requested_at",
                    models.DateTimeField(verbose_name="retry requested at", blank=True, null=True),
                ),
            ],
            options={
                "verbose_name": "incident",
                "verbose_name_plural": "incidents",
                "db_table": "lifesigns_incident",
                "ordering": ("-since",),
                "permissions": (
                    ("acknowledge_incident", "Can acknowledge incidents"),
                    ("retry_incident", "Can have the notices of incidents delivered again"),
                ),
                "required_db_features": ("supports_json_field",),
                "indexes": [
                    models.Index(fields=["application", "resolved_at"], name="lifesigns_incident_open_idx"),
                    models.Index(fields=["check_name", "-since"], name="lifesigns_incident_check_idx"),
                ],
            },
        ),
        AdoptOrCreateModel(
            name="Delivery",
            fields=[
                ("id", models.CharField(verbose_name="id", max_length=255, primary_key=True, serialize=False)),
                ("channel", models.CharField(verbose_name="channel", max_length=100)),
                ("kind", models.CharField(verbose_name="kind", max_length=20)),
                ("state", models.CharField(verbose_name="state", max_length=20)),
                ("attempts", models.PositiveIntegerField(verbose_name="attempts", default=0)),
                ("last_answer", models.TextField(verbose_name="last answer", blank=True)),
                (
                    "last_attempt_at",
                    models.DateTimeField(verbose_name="last attempt at", blank=True, null=True),
                ),
                (
                    "next_attempt_at",
                    models.DateTimeField(verbose_name="next attempt at", blank=True, null=True),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        verbose_name="incident",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="lifesigns.incident",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "db_table": "lifesigns_delivery",
                "ordering": ("incident", "channel", "id"),
            },
        ),
        AdoptOrCreateModel(
            name="Silence",
            fields=[
                (
                    "id",
                    models.CharField(
                        verbose_name="id",
                        default=django_lifesigns.alerts.tables.new_id,
                        editable=False,
                        max_length=100,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "checks",
                    models.CharField(
                        verbose_name="checks",
                        default="*",
                        help_text="Names of checks, or patterns with * and ?, separated by commas",
                        max_length=500,
                    ),
                ),
                (
                    "severity",
                    models.CharField(verbose_name="severity", blank=True, help_text="Empty: any", max_length=500),
                ),
                (
                    "group",
                    models.CharField(
                        verbose_name="group",
                        blank=True,
                        help_text="One of LIFESIGNS['GROUPS']; empty: any check",
                        max_length=500,
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="starts at", default=django.utils.timezone.now)),
                (
                    "ends_at",
                    models.DateTimeField(
                        verbose_name="ends at", db_index=True, default=django_lifesigns.alerts.tables.default_end
                    ),
                ),
                ("author", models.CharField(verbose_name="author", blank=True, max_length=150)),
                ("comment", models.TextField(verbose_name="comment", blank=True)),
            ],
            options={
                "verbose_name": "silence",
                "verbose_name_plural": "silences",
                "db_table": "lifesigns_silence",
                "ordering": ("-ends_at",),
            },
        ),
    ]
