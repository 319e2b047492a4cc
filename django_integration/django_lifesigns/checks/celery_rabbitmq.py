"""Celery's workers on RabbitMQ: by their answers, and by the consumers that the broker counts for each queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django_lifesigns.checks.celery_broker import QueueState, queue_states, running, with_stuck
from django_lifesigns.checks.celery_connection import BrokerConnection, with_broker
from django_lifesigns.checks.celery_questions import ask_workers
from django_lifesigns.checks.celery_standstill import standing_still, with_standstill
from django_lifesigns.checks.celery_workers import PING_SECONDS, CeleryStaff, heartbeats
from django_lifesigns.checks.task_results import with_unserved


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryRabbitWorkers(CeleryStaff):
    """Workers that answer or consume one of the queues, and the age of what they have been running for longest.

    A busy worker may not answer, but it stays connected: the broker counts it as a consumer.
    """

    queues: tuple[str, ...] = ()
    remote_control: bool = True

    def _workers(self) -> dict[str, Any]:
        answers, states, still = with_broker(self._look)
        ages = [age for age in heartbeats().values() if age <= self.window_seconds]
        # Of workers of this host, which send heartbeats where they have `CELERY_SIGNALS`.
        last = {"last_heartbeat_seconds": round(min(ages), 1)} if ages else {}
        details: dict[str, object] = {"heartbeat_window_minutes": self.heartbeat_window_minutes, **last}
        details |= running(answers, self.stuck_after_seconds) if answers else {}
        answered = len(answers) if self.remote_control else None
        result = self.after_last_seen(judge(answered, states, self.expected_workers, details), ages)
        return with_standstill(with_stuck(result, self.stuck_after_seconds), still)

    def _look(self, broker: BrokerConnection) -> tuple[dict[str, Any], dict[str, QueueState], dict[str, float]]:
        """Return the answers by worker, the queues, and the workers that stand still."""
        answers = ask_workers(broker, "active", PING_SECONDS, safe=True).by_worker if self.remote_control else {}
        states = queue_states(broker.kombu, self.queues)
        pending = sum(state.messages for state in states.values())
        return answers, states, standing_still(broker, answers, self.stalled_after_seconds, lambda: pending)


def judge(
    answered: int | None, states: Mapping[str, QueueState], expected: int, details: Mapping[str, object]
) -> dict[str, Any]:
    """Return the result for so many workers that answered (None: they are not pinged), and these queues."""
    consumers = {name: state.consumers for name, state in states.items()}
    # Each worker is one consumer of each of its queues.
    active = max(answered or 0, *consumers.values(), 0)
    unserved = {name: state.messages for name, state in states.items() if state.messages and not state.consumers}
    status = "healthy" if active >= expected else "degraded" if active else "error"
    message = f"{active} of {expected} expected workers {'answered' if answered else 'are connected'}"
    if active and answered == 0:
        message += f"; none answered within {PING_SECONDS:g} s: they are busy"
    found = {"active_workers": active, "expected_workers": expected, "consumers": consumers}
    result = {"status": status, "message": message, "details": {**found, **details}}
    return with_unserved(result, unserved) if expected else result
