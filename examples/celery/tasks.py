"""A Celery worker without Django that answers probes, sends heartbeats, and drains when it gets SIGTERM.

pip install lifesigns "celery[redis]"
celery -A tasks worker
python -m lifesigns probe --ready --address 127.0.0.1:9465

CELERY_BROKER_URL: the broker, on Redis; PROBES: the address of the probe server.
"""

from __future__ import annotations

import os

from celery import Celery

import lifesigns
import lifesigns.celery
from lifesigns.specs import Redis

BROKER = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")

app = Celery("tasks", broker=BROKER)
app.conf.broker_connection_retry_on_startup = True

engine = lifesigns.Engine(share="host", application="celery-example")
engine.register("broker", Redis(url=BROKER), timeout=1)
lifesigns.celery.connect(engine, serve=os.environ.get("PROBES", "127.0.0.1:9465"))


@app.task
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
