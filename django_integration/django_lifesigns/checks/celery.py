"""Celery as its broker and its workers tell, through the project's current Celery application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from django_lifesigns.checks.imports import celery_modules
from django_lifesigns.checks.tasks import DEPTH, pending, workers
from lifesigns.specs import Thresholds

CONNECT_SECONDS = 4
# Workers answer a ping at once; those that have not by then are too busy or gone. It is always waited for to the end,
# so it is less than the response time (1 s) that makes a check degraded.
PING_SECONDS = 0.7


class CeleryCheck:
    """What reaches Celery's broker."""

    __slots__ = ()

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return celery_modules()


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryBroker(CeleryCheck):
    """The broker accepts a connection."""

    def __call__(self) -> dict[str, object]:
        with _broker() as connection:
            backend = f"celery ({connection.transport.driver_type})"
        details = {"task_tables_available": True, "table_count": 0, "backend": backend}
        return {"status": "healthy", "message": "Celery's broker answers", "details": details}


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryPending(CeleryCheck):
    """Messages that wait in each configured queue: `LLEN` on Redis, the declared count on AMQP."""

    thresholds: Thresholds = DEPTH

    def __call__(self) -> dict[str, object]:
        with _broker() as connection:
            depths = {name: _depth(connection, name) for name in _application().amqp.queues}
        return pending(depths, self.thresholds, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryWorkers(CeleryCheck):
    """Workers that answer a ping."""

    expected_workers: int = 1

    def __call__(self) -> dict[str, object]:
        answers = _application().control.inspect(timeout=PING_SECONDS).ping() or {}
        return workers(len(answers), self.expected_workers, "answer a ping")


def _application() -> Any:
    from celery import current_app

    return current_app


@contextmanager
def _broker() -> Iterator[Any]:
    # The URL of the settings: where the project's application is not imported, Celery's own would name another broker.
    url = getattr(settings, "CELERY_BROKER_URL", None)
    with _application().connection_for_read(url, connect_timeout=CONNECT_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        yield connection


def _depth(connection: Any, queue: str) -> int:
    # A channel for each question: AMQP closes the one on which it answers that there is no such queue.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:
            return 0
