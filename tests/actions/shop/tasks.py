"""The Celery application of the shop: `python -m celery -A tests.actions.shop.tasks worker`."""

from __future__ import annotations

import time

from celery import Celery

from tests.actions.shop import note

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")


def stick() -> None:
    note("stuck")
    time.sleep(600)


def pack() -> None:
    note("done")


for task in (stick, pack):
    app.task(task)
