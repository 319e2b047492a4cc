"""Celery's workers: those that answer, and those that are known by their heartbeats (`CELERY_SIGNALS`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django_lifesigns.checks import celery, celery_beat
from django_lifesigns.checks.celery_app import is_configured
from django_lifesigns.checks.celery_broker import running, with_stuck
from django_lifesigns.checks.celery_connection import BrokerConnection, with_broker
from django_lifesigns.checks.celery_questions import ask_workers
from django_lifesigns.checks.celery_standstill import standing_still, with_standstill
from django_lifesigns.checks.imports import celery_modules
from django_lifesigns.checks.task_results import after_last_seen, with_unserved, workers
from lifesigns.worker_sightings import note_workers

# Workers answer at once; those that have not by then are too busy or gone. It passes in full where the broker does not
# count workers, so it is less than the response time (1 s) that makes a check degraded.
PING_SECONDS = 0.6
# Marks a skipped result that says nothing about the settings: see `policy/dependencies.rs`.
UNKNOWN = {"unknown": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryStaff(celery.CeleryCheck):
    """What is judged of workers that have been found, and of the scheduler, whose tables `schedules` says to look at.

    Degraded are a task that has been running for more than `stuck_after_seconds`, a worker that has started nothing for
    `stalled_after_seconds` while tasks waited for it (0 is no limit for either), and schedules that are due for more
    than `schedule_window_minutes`. No worker at all is an error once none has been seen for `heartbeat_window_minutes`
    by any process of the scope, or if none ever was: in a deploy there is none for a while.
    """

    expected_workers: int = 1
    heartbeat_window_minutes: int = 5
    stuck_after_seconds: float = 0.0
    stalled_after_seconds: float = 3600.0
    schedules: bool = False
    schedule_window_minutes: int = 5

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        yield from celery_modules()
        yield "lifesigns.celery"
        if self.schedules:
            yield celery_beat.MODELS

    def __call__(self) -> dict[str, object]:
        if not is_configured():
            return celery.SKIPPED
        if not self.schedules:
            return self._workers()
        celery_beat.start(self.schedule_window_minutes)
        return celery_beat.with_overdue(self._workers(), self.schedule_window_minutes)

    def after_last_seen(self, result: dict[str, Any], ages: Iterable[float]) -> dict[str, Any]:
        """Return the result, no error in a deploy; `ages` are those of the last heartbeats of workers, in seconds."""
        seen = note_workers("celery", result["details"]["active_workers"])
        last = min((age for age in (seen, *ages) if age is not None), default=None)
        return after_last_seen(result, last, self.window_seconds)

    @property
    def window_seconds(self) -> float:
        """Return for how long a heartbeat says that its worker is alive."""
        return self.heartbeat_window_minutes * 60.0

    def _workers(self) -> dict[str, Any]:
        """Return the result without the scheduler's."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What was found of the workers of one broker."""

    answers: Mapping[str, Any]
    may_be_busy: bool
    # Where no worker is connected, how many messages wait in each queue.
    unserved: Mapping[str, int]
    stalled: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryWorkers(CeleryStaff):
    """Workers that answer, and the age of what they have been running for longest.

    A worker that is busy may not answer: its heartbeats on this host decide, for as long as the broker knows of any
    worker. Where there are none, silence says nothing. `unreachable` is why no worker can be pinged, if so: then
    heartbeats alone decide.
    """

    unreachable: str = ""

    def _workers(self) -> dict[str, Any]:
        if self.unreachable:
            return self._of_heartbeats(heartbeats())
        found = with_broker(self._look)
        answers = found.answers
        ages = heartbeats()
        busy = self._busy(ages, answers) if found.may_be_busy and len(answers) < self.expected_workers else []
        if not (answers or busy) and found.may_be_busy and self.expected_workers:
            message = f"No worker answered within {PING_SECONDS:g} s, but some are connected: they may be busy"
            return {"status": "skipped", "message": message, "details": UNKNOWN}
        result = self._result(len(answers), "answered", busy, **running(answers, self.stuck_after_seconds))
        result = with_unserved(self.after_last_seen(result, ages.values()), found.unserved)
        return with_standstill(with_stuck(result, self.stuck_after_seconds), found.stalled)

    def _look(self, broker: BrokerConnection) -> Observation:
        # In place of a ping, which the main process answers even if all of its children hang.
        found = ask_workers(broker, "active", PING_SECONDS, safe=True)
        answers = found.by_worker
        # Only a broker that knows of no worker decides that there is none.
        may_be_busy = bool(answers) or found.reached != 0
        unserved = {} if may_be_busy or not self.expected_workers else celery.depths_of(broker.kombu)
        stalled = standing_still(broker, answers, self.stalled_after_seconds, partial(_depth, broker.kombu))
        return Observation(answers=answers, may_be_busy=may_be_busy, unserved=unserved, stalled=stalled)

    def _busy(self, ages: Mapping[str, float], answered: Iterable[str]) -> list[float]:
        """Return how long ago each worker that did not answer sent its last heartbeat, if within the window."""
        from lifesigns.celery import node_name

        others = ages.keys() - set(map(node_name, answered))
        return [ages[name] for name in others if ages[name] <= self.window_seconds]

    def _of_heartbeats(self, ages: Mapping[str, float]) -> dict[str, Any]:
        if not ages:
            here = "none of this host has sent a heartbeat: those of other hosts are not known"
            message = f"{self.unreachable}, and {here}"
            return {"status": "skipped", "message": message, "details": UNKNOWN}
        alive = [age for age in ages.values() if age <= self.window_seconds]
        sign = f"of this host sent a heartbeat in the last {self.heartbeat_window_minutes} minutes"
        last = min(ages.values())
        sign += "" if alive else f"; the last heartbeat was {last:.0f} s ago"
        return self._result(len(alive), sign, [], last_heartbeat_seconds=round(last, 1))

    def _result(self, active: int, sign: str, busy: list[float], **details: object) -> dict[str, Any]:
        if busy:
            sign = f"are alive: {active} answered, {len(busy)} busy or stopped, last heartbeat {max(busy):.0f} s ago"
            details |= {"busy_workers": len(busy), "last_heartbeat_seconds": round(max(busy), 1)}
        details["heartbeat_window_minutes"] = self.heartbeat_window_minutes
        return workers(active + len(busy), self.expected_workers, sign, **details)


def _depth(connection: Any) -> int:
    return sum(celery.depths_of(connection).values())


def heartbeats() -> dict[str, float]:
    """Return the age in seconds of the last heartbeat of each worker of this host, by the name of its node."""
    from lifesigns.celery import worker_heartbeats

    return worker_heartbeats()
