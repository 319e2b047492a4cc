"""The tables of incidents, of what was delivered of them, and of silences.

The engine keeps incidents in the store of its scope; what stands here is written after it, and read by people, by other
hosts, and by a process that has lost its store.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

NAME, IDENTIFIER, AUTHOR, MATCHER = 100, 100, 150, 500
# A name of a check or of its objective, or what matches some.
PATTERN = re.compile(r"(?:objective:)?[A-Za-z0-9_.*?-]{1,100}")
# How long a silence that names no end lasts.
DEFAULT_SILENCE = timedelta(hours=1)


def new_id() -> str:
    """Return an id that no other process makes."""
    return uuid4().hex


def default_end() -> Any:
    """Return when a silence that starts now ends, where nothing else is said."""
    return timezone.now() + DEFAULT_SILENCE


class Severity(models.TextChoices):
    """How urgent it is."""

    CRITICAL = "critical", lazy("Critical")
    ERROR = "error", lazy("Error")
    WARNING = "warning", lazy("Warning")


class Incident(models.Model):
    """One incident of a check, from its first failure to its end."""

    id = models.CharField(lazy("id"), primary_key=True, max_length=IDENTIFIER)
    application = models.CharField(lazy("application"), max_length=NAME)
    check_name = models.CharField(lazy("check name"), max_length=NAME)
    state = models.CharField(lazy("state"), max_length=20)
    severity = models.CharField(lazy("severity"), max_length=20, choices=Severity.choices)
    message = models.TextField(lazy("message"), blank=True)
    since = models.DateTimeField(lazy("since"), db_index=True)
    fired_at = models.DateTimeField(lazy("fired at"), null=True, blank=True)
    resolved_at = models.DateTimeField(lazy("resolved at"), null=True, blank=True)
    acknowledged_by = models.CharField(lazy("acknowledged by"), max_length=AUTHOR, blank=True)
    acknowledgement = models.TextField(lazy("comment of the acknowledgement"), blank=True)
    is_flapping = models.BooleanField(lazy("flapping"), default=False)
    # How often it had changed when it was written.
    revision = models.BigIntegerField(lazy("revision"), default=0)
    # As the engine has it: what another process needs to continue it.
    record = models.JSONField(lazy("record"), default=dict, blank=True)
    # Whose incident it is: the processes that share a store; and when they last said that it still is.
    instance = models.CharField(lazy("instance"), max_length=255)
    mirrored_at = models.DateTimeField(lazy("mirrored at"), default=timezone.now)
    retry_requested_at = models.DateTimeField(lazy("retry requested at"), null=True, blank=True)

    class Meta:
        db_table = "lifesigns_incident"
        ordering = ("-since",)
        indexes = (
            models.Index(fields=["application", "resolved_at"], name="lifesigns_incident_open_idx"),
            models.Index(fields=["check_name", "-since"], name="lifesigns_incident_check_idx"),
        )
        permissions = (
            ("acknowledge_incident", "Can acknowledge incidents"),
            ("retry_incident", "Can have the notices of incidents delivered again"),
        )
        verbose_name = lazy("incident")
        verbose_name_plural = lazy("incidents")
        # Without it Django 6.1 asks the database in `manage.py check` whether it has JSON fields.
        required_db_features = ("supports_json_field",)

    def __str__(self) -> str:
        return f"{self.check_name}: {self.state}, began {self.since:%Y-%m-%d %H:%M:%S %Z}".rstrip()


class Delivery(models.Model):
    """One notice of an incident on one channel, and whether it was delivered."""

    id = models.CharField(lazy("id"), primary_key=True, max_length=255)
    incident = models.ForeignKey(
        Incident, models.CASCADE, related_name="deliveries", verbose_name=lazy("incident"), db_index=True
    )
    channel = models.CharField(lazy("channel"), max_length=NAME)
    kind = models.CharField(lazy("kind"), max_length=20)
    state = models.CharField(lazy("state"), max_length=20)
    attempts = models.PositiveIntegerField(lazy("attempts"), default=0)
    last_answer = models.TextField(lazy("last answer"), blank=True)
    last_attempt_at = models.DateTimeField(lazy("last attempt at"), null=True, blank=True)
    next_attempt_at = models.DateTimeField(lazy("next attempt at"), null=True, blank=True)

    class Meta:
        db_table = "lifesigns_delivery"
        ordering = ("incident", "channel", "id")
        verbose_name = lazy("delivery")
        verbose_name_plural = lazy("deliveries")

    def __str__(self) -> str:
        return f"{self.channel}: {self.kind}, {self.state}"


class Silence(models.Model):
    """A time in which incidents that it matches send no alerts. Governs every process within 30 s."""

    id = models.CharField(lazy("id"), primary_key=True, max_length=IDENTIFIER, default=new_id, editable=False)
    checks = models.CharField(
        lazy("checks"),
        max_length=MATCHER,
        default="*",
        help_text=lazy("Names of checks, or patterns with * and ?, separated by commas"),
    )
    severity = models.CharField(lazy("severity"), max_length=MATCHER, blank=True, help_text=lazy("Empty: any"))
    group = models.CharField(
        lazy("group"), max_length=MATCHER, blank=True, help_text=lazy("One of LIFESIGNS['GROUPS']; empty: any check")
    )
    starts_at = models.DateTimeField(lazy("starts at"), default=timezone.now)
    ends_at = models.DateTimeField(lazy("ends at"), default=default_end, db_index=True)
    author = models.CharField(lazy("author"), max_length=AUTHOR, blank=True)
    comment = models.TextField(lazy("comment"), blank=True)

    class Meta:
        db_table = "lifesigns_silence"
        ordering = ("-ends_at",)
        verbose_name = lazy("silence")
        verbose_name_plural = lazy("silences")

    def __str__(self) -> str:
        return f"{self.checks} until {self.ends_at}"

    def clean(self) -> None:
        """A silence names checks, ends after it starts, and has not ended yet."""
        if not all(PATTERN.fullmatch(part.strip()) for part in self.checks.split(",")):
            raise ValidationError({"checks": _("Enter names of checks, or patterns with * and ?.")})
        if self.starts_at is None or self.ends_at is None:
            return  # said of the field itself already
        if self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": _("Must be after the start.")})
        if self.ends_at <= timezone.now():
            raise ValidationError({"ends_at": _("Must be in the future.")})
