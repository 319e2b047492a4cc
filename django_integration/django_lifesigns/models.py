"""What is kept: results, each service's availability, the thresholds that operators save, incidents, silences, actions.

The first three have the tables and columns of the application that Lifesigns replaces, so that its history continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, router
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.actions.tables import ActionRun, ActionSwitch
from django_lifesigns.alerts.tables import Delivery, Incident, Silence
from django_lifesigns.checks.timezones import kept
from django_lifesigns.history.availability import AvailabilityManager
from django_lifesigns.history.log_row import of_result
from django_lifesigns.history.rollups.model import Rollup as Rollup  # for Django to find it here
from django_lifesigns.runtime.threshold_rules import wanted_instead

__all__ = [
    "ActionRun",
    "ActionSwitch",
    "AlertThreshold",
    "Delivery",
    "HealthCheckLog",
    "Incident",
    "ServiceAvailability",
    "Silence",
    "Status",
]


class Status(models.TextChoices):
    """What is recorded of a check; skipped ones are not."""

    HEALTHY = "healthy", lazy("Healthy")
    DEGRADED = "degraded", lazy("Degraded")
    ERROR = "error", lazy("Error")


class HealthCheckLog(models.Model):
    """One result of one check."""

    check_name = models.CharField(lazy("check name"), max_length=100)
    status = models.CharField(lazy("status"), max_length=20, choices=Status.choices)
    message = models.TextField(lazy("message"))
    # As everything is shown: a result that is logged may hold dates, decimals and UUIDs.
    details = models.JSONField(lazy("details"), default=dict, blank=True, encoder=DjangoJSONEncoder)
    duration_ms = models.FloatField(lazy("duration in ms"), validators=[MinValueValidator(0)])
    checked_at = models.DateTimeField(lazy("checked at"), default=timezone.now, db_index=True)
    correlation_id = models.UUIDField(lazy("correlation id"), null=True, blank=True)

    class Meta:
        db_table = "core_health_check_log"
        ordering = ("-checked_at",)
        indexes = (
            models.Index(fields=["check_name", "-checked_at"], name="core_health_check_n_idx"),
            models.Index(fields=["status", "-checked_at"], name="core_health_status_idx"),
        )
        verbose_name = lazy("health check result")
        verbose_name_plural = lazy("health check results")
        permissions = (
            ("run_check", "Can run checks now"),
            ("force_breaker", "Can reset and force circuit breakers"),
        )
        # Without it Django 6.1 queries the database in `manage.py check` for whether it has JSON fields.
        required_db_features = ("supports_json_field",)

    def __str__(self) -> str:
        return f"{self.check_name}: {self.status} at {self.checked_at}"

    @classmethod
    def log_check(cls, check_name: str, result: Mapping[str, Any]) -> HealthCheckLog:
        """Save a result."""
        at = parse_datetime(str(result.get("timestamp")))
        row = cls(check_name=check_name, **of_result(result), checked_at=kept(at) if at else timezone.now())
        row.save(force_insert=True)
        return row


class ServiceAvailability(models.Model):
    """How often a check was well; `uptime_percentage` is the share of healthy results."""

    service_name = models.CharField(lazy("service name"), max_length=100, unique=True)
    total_checks = models.IntegerField(lazy("total checks"), default=0)
    successful_checks = models.IntegerField(lazy("successful checks"), default=0)
    failed_checks = models.IntegerField(lazy("failed checks"), default=0)
    degraded_checks = models.IntegerField(lazy("degraded checks"), default=0)
    last_check_at = models.DateTimeField(lazy("last check at"), null=True, blank=True)
    last_success_at = models.DateTimeField(lazy("last success at"), null=True, blank=True)
    last_failure_at = models.DateTimeField(lazy("last failure at"), null=True, blank=True)
    uptime_percentage = models.FloatField(
        lazy("uptime percentage"), default=100.0, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    created_at = models.DateTimeField(lazy("created at"), default=timezone.now)
    updated_at = models.DateTimeField(lazy("updated at"), auto_now=True)

    objects = AvailabilityManager()

    class Meta:
        db_table = "core_service_availability"
        ordering = ("-uptime_percentage", "service_name")
        verbose_name = lazy("service availability")
        verbose_name_plural = lazy("service availabilities")

    def __str__(self) -> str:
        return f"{self.service_name}: {self.uptime_percentage:.2f}%"

    def record_check(self, status: str) -> None:
        """Count a result. The database adds, so that no other process's result is lost.

        An instance that is not saved yet is saved, unless there is a row of its name already.
        """
        using = router.db_for_write(type(self), instance=self)
        rows = type(self).objects.using(using)
        if self.pk is None:
            rows.bulk_create([self], ignore_conflicts=True)
        type(self).objects.record([(self.service_name, status, timezone.now())], using)
        row = rows.get(service_name=self.service_name)
        for field in self._meta.concrete_fields:
            setattr(self, field.attname, getattr(row, field.attname))
        self._state.adding, self._state.db = False, using


class AlertThreshold(models.Model):
    """Where a metric becomes a warning (degraded) or critical (error): governs every process within 30 s."""

    class Metric(models.TextChoices):
        DISK_USAGE = "disk_usage", lazy("Disk usage (%)")
        MEMORY_USAGE = "memory_usage", lazy("Memory usage (%)")
        CPU_LOAD = "cpu_load", lazy("Load per CPU")
        RESPONSE_TIME = "response_time", lazy("Response time (ms)")
        ERROR_RATE = "error_rate", lazy("Error rate (%)")
        QUEUE_DEPTH = "queue_depth", lazy("Queue depth")

    class Level(models.TextChoices):
        WARNING = "warning", lazy("Warning")
        CRITICAL = "critical", lazy("Critical")

    # What holds for a metric of which nothing is saved and enabled.
    DEFAULTS: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "disk_usage": {"warning": 80.0, "critical": 90.0},
        "memory_usage": {"warning": 80.0, "critical": 90.0},
        "cpu_load": {"warning": 0.7, "critical": 0.9},
        "queue_depth": {"warning": 100.0, "critical": 500.0},
        "response_time": {"warning": 1000.0, "critical": 3000.0},
        "error_rate": {"warning": 5.0, "critical": 10.0},
    }
    # What the replaced application took for the threshold of a metric that it did not know.
    UNKNOWN: ClassVar[float] = 100.0

    metric_type = models.CharField(lazy("metric type"), max_length=50, choices=Metric.choices)
    alert_level = models.CharField(lazy("alert level"), max_length=20, choices=Level.choices)
    threshold_value = models.FloatField(lazy("threshold value"))
    enabled = models.BooleanField(lazy("enabled"), default=True)
    description = models.TextField(lazy("description"), blank=True)
    created_at = models.DateTimeField(lazy("created at"), default=timezone.now)
    updated_at = models.DateTimeField(lazy("updated at"), auto_now=True)

    class Meta:
        db_table = "core_alert_threshold"
        unique_together = (("metric_type", "alert_level"),)
        ordering = ("metric_type", "alert_level")
        verbose_name = lazy("alert threshold")
        verbose_name_plural = lazy("alert thresholds")

    def __str__(self) -> str:
        return f"{self.metric_type} {self.alert_level}: {self.threshold_value:g}"

    @property
    def default(self) -> float:
        """What holds where nothing is saved. An adopted table may have metrics that no check has."""
        return self.DEFAULTS.get(self.metric_type, {}).get(self.alert_level, self.UNKNOWN)

    @classmethod
    def get_threshold(cls, metric_type: str, alert_level: str = "warning") -> float:
        """Return what is saved and enabled, or the default; 100 for what has none."""
        default = cls(metric_type=metric_type, alert_level=alert_level).default
        saved = cls.objects.filter(metric_type=metric_type, alert_level=alert_level, enabled=True)
        value = saved.values_list("threshold_value", flat=True).first()
        return default if value is None else value

    def clean(self) -> None:
        """A threshold is a number in the metric's range, and a warning comes before it is critical."""
        metric, level, value = self.metric_type, self.alert_level, self.threshold_value
        if value is None or metric not in self.DEFAULTS or level not in self.DEFAULTS[metric]:
            return  # said of the field itself already
        if (wanted := wanted_instead(metric, value)) is not None:
            raise ValidationError({"threshold_value": _("Enter %(wanted)s.") % {"wanted": _(wanted)}})
        if not self.enabled:
            value = self.default
        other = "critical" if level == "warning" else "warning"
        bound = self.get_threshold(metric, other)
        if value >= bound if level == "warning" else value <= bound:
            text = (
                _("Must be below the critical threshold, %(bound)s: change that one first.")
                if level == "warning"
                else _("Must be above the warning threshold, %(bound)s: change that one first.")
            )
            raise ValidationError({"threshold_value": text % {"bound": f"{bound:g}"}})
