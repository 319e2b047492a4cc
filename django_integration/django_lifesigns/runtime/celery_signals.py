"""Connects Celery's workers and its scheduler to the engine of this project."""

from __future__ import annotations

from functools import partial

from django_lifesigns.runtime.worker import start
from lifesigns import celery


def connect() -> None:
    """Connect to Celery's signals; starts nothing before a worker does."""
    # The address of the probe server is that of the web workers: one that drains here must not answer for them.
    celery.connect(on_start=partial(start, probes=False), uid="django_lifesigns")
