"""Celery's workers and its scheduler as others see them: alive, ready, heard, draining."""

from __future__ import annotations

import re
from typing import Any

from celery import signals

import lifesigns
from django_lifesigns.worker import begin

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def connect() -> None:
    """Has Celery tell; starts nothing. Only the parent of a pool is seen, since its children are busy with tasks."""
    for signal, receiver in (
        (signals.worker_ready, _begin),
        (signals.beat_init, _begin),
        (signals.heartbeat_sent, _beat),
        (signals.worker_shutting_down, _drain),
    ):
        signal.connect(receiver, weak=False, dispatch_uid="django_lifesigns")


def _begin(**_: Any) -> None:
    # The address of the probe server is that of the web workers: one that drains here must not answer for them.
    begin(probes=False)


def _beat(sender: Any, **_: Any) -> None:
    """Every 2 s, from the loop that takes tasks: `celery@host` is heard as `celery`."""
    lifesigns.beat(NOT_IN_NAMES.sub("_", str(sender.eventer.hostname).partition("@")[0]) or "celery")


def _drain(**_: Any) -> None:
    lifesigns.drain()
