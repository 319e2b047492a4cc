"""The tables of what actions did, and of the switches of operators.

The engine decides by the store of its scope; what stands here is written after it, and read by people and other hosts.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as lazy

NAME, IDENTIFIER, AUTHOR = 100, 100, 150
# The name of the switch of all actions.
ALL = "*"
# In which colour the state of a run is shown.
STATE_COLOURS = {
    "done": "healthy",
    "healed": "healthy",
    "failed": "error",
    "lost": "error",
    "not_healed": "error",
    "stopped": "error",
    "would_act": "unknown",
}


class ActionRun(models.Model):
    """One run of an action, or one time when it was due and did not run."""

    id = models.CharField(lazy("id"), primary_key=True, max_length=IDENTIFIER)
    application = models.CharField(lazy("application"), max_length=NAME)
    name = models.CharField(lazy("name"), max_length=NAME)
    action = models.CharField(lazy("action"), max_length=255)
    check_name = models.CharField(lazy("check name"), max_length=NAME, blank=True)
    cause = models.CharField(lazy("cause"), max_length=20)
    author = models.CharField(lazy("author"), max_length=AUTHOR, blank=True)
    reason = models.TextField(lazy("reason"), blank=True)
    state = models.CharField(lazy("state"), max_length=20)
    message = models.TextField(lazy("message"), blank=True)
    # The number of the lease under which it ran: a later run of the same scope has a greater one.
    fence = models.BigIntegerField(lazy("fencing number"), default=0)
    process = models.CharField(lazy("process"), max_length=255, blank=True)
    started_at = models.DateTimeField(lazy("started at"), db_index=True)
    ended_at = models.DateTimeField(lazy("ended at"), null=True, blank=True)
    revision = models.BigIntegerField(lazy("revision"), default=0)

    class Meta:
        db_table = "lifesigns_action"
        ordering = ("-started_at",)
        indexes = (models.Index(fields=["name", "-started_at"], name="lifesigns_action_name_idx"),)
        verbose_name = lazy("run of an action")
        verbose_name_plural = lazy("runs of actions")

    def __str__(self) -> str:
        return f"{self.name}: {self.state} at {self.started_at}"


class ActionSwitch(models.Model):
    """Whether an action, or all of them, may run. Governs every process within 30 s."""

    name = models.CharField(
        lazy("name"),
        primary_key=True,
        max_length=NAME,
        default=ALL,
        help_text=lazy("One of LIFESIGNS['ACTIONS']; * for all of them"),
    )
    is_on = models.BooleanField(lazy("may run"), default=False)
    author = models.CharField(lazy("author"), max_length=AUTHOR, blank=True)
    changed_at = models.DateTimeField(lazy("changed at"), default=timezone.now)

    class Meta:
        db_table = "lifesigns_action_switch"
        ordering = ("name",)
        verbose_name = lazy("switch of actions")
        verbose_name_plural = lazy("switches of actions")

    def __str__(self) -> str:
        return f"{self.name}: {'on' if self.is_on else 'off'}"
