"""Celery's tasks as its broker has them, through the project's current Celery application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django_lifesigns.checks.celery_app import application, is_configured
from django_lifesigns.checks.celery_broker import queue_states, unacked
from django_lifesigns.checks.celery_connection import BrokerConnection, kind_of_broker, with_broker
from django_lifesigns.checks.imports import celery_modules
from django_lifesigns.checks.task_results import DEPTH, pending
from lifesigns.specs import Thresholds

SKIPPED: dict[str, object] = {"status": "skipped", "message": "set CELERY_BROKER_URL to check Celery's broker"}


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
        if not is_configured():
            return SKIPPED
        backend = f"celery ({kind_of_broker()})"
        details = {"task_tables_available": True, "table_count": 0, "backend": backend}
        return {"status": "healthy", "message": "Celery's broker answers", "details": details}


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryPending(CeleryCheck):
    """Messages that wait in each configured queue: `LLEN` on Redis, the declared count on AMQP."""

    thresholds: Thresholds = DEPTH

    def __call__(self) -> dict[str, object]:
        if not is_configured():
            return SKIPPED
        depths, taken = with_broker(_measure)
        result = pending(depths, self.thresholds, None)
        return {**result, "details": {**cast("dict[str, object]", result["details"]), **taken}}


def _measure(broker: BrokerConnection) -> tuple[dict[str, int], dict[str, object]]:
    return depths_of(broker.kombu), unacked(broker.kombu)


def depths_of(connection: Any) -> dict[str, int]:
    """Return how many messages wait in each configured queue."""
    return {name: depth(connection, name) for name in application().amqp.queues}


def depth(connection: Any, queue: str) -> int:
    """Return how many messages wait in a queue; none where it does not exist."""
    state = queue_states(connection, [queue]).get(queue)
    return state.messages if state else 0
