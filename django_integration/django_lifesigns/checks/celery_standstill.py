"""Workers of Celery in which nothing starts though tasks wait: their main process answers while every child hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django_lifesigns.checks.celery_connection import BrokerConnection
from django_lifesigns.checks.celery_questions import ask_workers

# Workers that have started something within so many seconds are not asked what waits in them.
QUIET_SECONDS = 60.0
# Workers that have just answered do so again at once, and are not waited for longer than that.
REPLY_SECONDS = 0.3
NAMED = 3

# A worker that has not answered for so long is forgotten.
FORGOTTEN_SECONDS = 300.0

# By worker: when its youngest task started, since when others have been waiting, and when that was last seen, as far as
# this process has looked.
_waiting: dict[str, tuple[float, float, float]] = {}

Answers = Mapping[str, Iterable[Mapping[str, Any]]]


def standing_still(
    broker: BrokerConnection, answers: Answers, limit: float, depth: Callable[[], int]
) -> dict[str, float]:
    """Return, by name, for how many seconds workers have started nothing, if for `limit` while tasks waited for them.

    `depth` counts the messages that wait in the broker.
    """
    now = time.time()
    quiet = {name: at for name, at in _youngest(answers).items() if now - at >= min(QUIET_SECONDS, limit)}
    waiting = _with_waiting(broker, answers, list(quiet), depth) if limit and quiet else {}
    return {name: now - quiet[name] for name in _waiting_for(limit, quiet, waiting, answers.keys())}


def _waiting_for(
    limit: float, quiet: Mapping[str, float], waiting: Mapping[str, bool | None], answered: Iterable[str]
) -> list[str]:
    """Note for which workers tasks wait (None: not known), and return those for which they have for `limit` seconds."""
    now = time.monotonic()
    served = {name for name in answered if waiting.get(name, False) is False}
    for name, (_, _, seen) in list(_waiting.items()):
        if name in served or now - seen > FORGOTTEN_SECONDS:
            del _waiting[name]
    for name in [name for name, waits in waiting.items() if waits]:
        at, since, _ = _waiting.get(name, (quiet[name], now, now))
        _waiting[name] = (quiet[name], since if at == quiet[name] else now, now)
    return [name for name, waits in waiting.items() if waits and now - _waiting[name][1] >= limit]


def with_standstill(result: dict[str, Any], found: Mapping[str, float]) -> dict[str, Any]:
    """Return the result, degraded at least where workers stand still."""
    if not found:
        return result
    named = [f"{name} has started no task for {seconds:.0f} s" for name, seconds in sorted(found.items())[:NAMED]]
    more = " and others" if len(found) > NAMED else ""
    status = "error" if result["status"] == "error" else "degraded"
    message = f"{result['message']}; {', '.join(named)}{more}, though tasks wait"
    details = {**result["details"], "stalled_workers": {name: round(seconds, 1) for name, seconds in found.items()}}
    return {**result, "status": status, "message": message, "details": details}


def _youngest(answers: Answers) -> dict[str, float]:
    """Return by worker when it last started one of the tasks that it runs."""
    starts = {name: [task.get("time_start") for task in tasks] for name, tasks in answers.items()}
    times = {name: [at for at in found if isinstance(at, (int, float))] for name, found in starts.items()}
    return {name: max(found) for name, found in times.items() if found}


def _with_waiting(
    broker: BrokerConnection, answers: Answers, names: list[str], depth: Callable[[], int]
) -> dict[str, bool | None]:
    """Return for which workers tasks wait: fetched by them, or in the broker while their pools are full.

    None is not known: a worker did not answer in time.
    """
    reserved = ask_workers(broker, "reserved", REPLY_SECONDS, names=names).by_worker
    waiting: dict[str, bool | None] = {name: bool(reserved[name]) if name in reserved else None for name in names}
    others = [name for name, waits in waiting.items() if waits is False]
    if others and depth():
        stats = ask_workers(broker, "stats", REPLY_SECONDS, names=others).by_worker
        for name in others:
            places = stats.get(name, {}).get("pool", {}).get("max-concurrency")
            waiting[name] = len(list(answers[name])) >= places if isinstance(places, int) else None
    return waiting
