"""Adopts the three tables of the application that Lifesigns replaces, or creates them."""

from __future__ import annotations

from typing import Any, ClassVar

import django.core.serializers.json
import django.core.validators
import django.utils.timezone
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from django_lifesigns.history.adoption import AdoptOrCreateModel


def key() -> tuple[str, Any]:
    return "id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    # Not True: `--fake-initial` would take existing tables for ours, and going back would drop them.
    initial = False

    dependencies: ClassVar[list[tuple[str, str]]] = []

    operations: ClassVar[list[Operation]] = [
        AdoptOrCreateModel(
            name="HealthCheckLog",
            fields=[
                key(),
                ("check_name", models.CharField(verbose_name="check name", max_length=100)),
                (
                    "status",
                    models.CharField(
                        verbose_name="status",
                        choices=[("healthy", "Healthy"), ("degraded", "Degraded"), ("error", "Error")],
                        max_length=20,
                    ),
                ),
                ("message", models.TextField(verbose_name="message")),
                (
                    "details",
                    models.JSONField(
                        verbose_name="details",
                        blank=True,
                        default=dict,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                    ),
                ),
                (
                    "duration_ms",
                    models.FloatField(
                        verbose_name="duration in ms", validators=[django.core.validators.MinValueValidator(0)]
                    ),
                ),
                (
                    "checked_at",
                    models.DateTimeField(verbose_name="checked at", db_index=True, default=django.utils.timezone.now),
                ),
                ("correlation_id", models.UUIDField(verbose_name="correlation id", blank=True, null=True)),
            ],
            options={
                "verbose_name": "health check result",
                "verbose_name_plural": "health check results",
                "required_db_features": ["supports_json_field"],
                "db_table": "core_health_check_log",
                "ordering": ("-checked_at",),
                "indexes": [
                    models.Index(fields=["check_name", "-checked_at"], name="core_health_check_n_idx"),
                    models.Index(fields=["status", "-checked_at"], name="core_health_status_idx"),
                ],
            },
        ),
        AdoptOrCreateModel(
            name="ServiceAvailability",
            fields=[
                key(),
                ("service_name", models.CharField(verbose_name="service name", max_length=100, unique=True)),
                ("total_checks", models.IntegerField(verbose_name="total checks", default=0)),
                ("successful_checks", models.IntegerField(verbose_name="successful checks", default=0)),
                ("failed_checks", models.IntegerField(verbose_name="failed checks", default=0)),
                ("degraded_checks", models.IntegerField(verbose_name="degraded checks", default=0)),
                ("last_check_at", models.DateTimeField(verbose_name="last check at", blank=True, null=True)),
                ("last_success_at", models.DateTimeField(verbose_name="last success at", blank=True, null=True)),
                ("last_failure_at", models.DateTimeField(verbose_name="last failure at", blank=True, null=True)),
                (
                    "uptime_percentage",
                    models.FloatField(
                        verbose_name="uptime percentage",
                        default=100.0,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="created at", default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(verbose_name="updated at", auto_now=True)),
            ],
            options={
                "verbose_name": "service availability",
                "verbose_name_plural": "service availabilities",
                "db_table": "core_service_availability",
                "ordering": ("-uptime_percentage", "service_name"),
            },
        ),
        AdoptOrCreateModel(
            name="AlertThreshold",
            fields=[
                key(),
                (
                    "metric_type",
                    models.CharField(
                        verbose_name="metric type",
                        choices=[
                            ("disk_usage", "Disk usage (%)"),
                            ("memory_usage", "Memory usage (%)"),
                            ("cpu_load", "Load per CPU"),
                            ("response_time", "Response time (ms)"),
                            ("error_rate", "Error rate (%)"),
                            ("queue_depth", "Queue depth"),
                        ],
                        max_length=50,
                    ),
                ),
                (
                    "alert_level",
                    models.CharField(
                        verbose_name="alert level",
                        choices=[("warning", "Warning"), ("critical", "Critical")],
                        max_length=20,
                    ),
                ),
                ("threshold_value", models.FloatField(verbose_name="threshold value")),
                ("enabled", models.BooleanField(verbose_name="enabled", default=True)),
                ("description", models.TextField(verbose_name="description", blank=True)),
                ("created_at", models.DateTimeField(verbose_name="created at", default=django.utils.timezone.now)),
                ("updated_at", models.DateTimeField(verbose_name="updated at", auto_now=True)),
            ],
            options={
                "verbose_name": "alert threshold",
                "verbose_name_plural": "alert thresholds",
                "db_table": "core_alert_threshold",
                "ordering": ("metric_type", "alert_level"),
                "unique_together": {("metric_type", "alert_level")},
            },
        ),
    ]
