"""Has Celery's workers replace their pools of processes: a quarter of the workers at a time.

Celery replaces a process once its task is done, which it never is where it hangs: such a task is ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django_lifesigns.checks.celery_app import application
from lifesigns import CheckFailed

# Seconds to wait for the answers of workers.
ANSWER_SECONDS = 2.0
# How long the tasks that run have to end by themselves.
GRACE_SECONDS = 2.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryPool:
    """Restarts the pools of all workers that answer, or of those that are named.

    It needs `worker_pool_restarts`. Tasks that still run `GRACE_SECONDS` later are ended, and not delivered again.
    """

    workers: Sequence[str] = ()

    def wrong(self) -> str | None:
        """Return what is wrong with the arguments, or with the project."""
        is_list = isinstance(self.workers, (list, tuple)) and all(isinstance(name, str) for name in self.workers)
        if not is_list:
            return "'workers' must be a list of names such as 'celery@host'"
        try:
            enabled = application().conf.worker_pool_restarts
        except ImportError:
            return "needs Celery, which is not installed"
        return None if enabled else "needs Celery's setting worker_pool_restarts (CELERY_WORKER_POOL_RESTARTS = True)"

    def __call__(self) -> str:
        app = application()
        names = list(self.workers) or sorted(_names(app.control.ping(timeout=ANSWER_SECONDS)))
        if not names:
            raise CheckFailed("No worker answered")
        restarted: list[str] = []
        refused = ended = 0
        for batch in quarters(names):
            running = _running(app, batch)
            answers = app.control.broadcast(
                "pool_restart",
                arguments={"reload": False},
                destination=batch,
                reply=True,
                timeout=ANSWER_SECONDS,
                limit=len(batch),
            )
            done = [name for name, answer in _each(answers) if isinstance(answer, dict) and "ok" in answer]
            restarted += done
            refused += len(answers or ()) - len(done)
            ended += _end(app, done, running)
        missing = len(names) - len(restarted) - refused
        if not restarted:
            raise CheckFailed(f"{refused} workers refused, {missing} did not answer")
        text = f"restarted the pools of {len(restarted)} of {len(names)} workers"
        if ended:
            text += f", ended {ended} task{'' if ended == 1 else 's'}"
        return f"{text}; {refused} refused, {missing} did not answer" if refused or missing else text


def _end(app: Any, workers: list[str], running: set[str]) -> int:
    """End those tasks that do not end by themselves in time, and return how many that were."""
    until = time.monotonic() + GRACE_SECONDS
    while running and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        running = running & _running(app, workers)
    if running and workers:
        app.control.revoke(sorted(running), destination=workers, terminate=True, signal="SIGKILL")
    return len(running)


def _running(app: Any, workers: list[str]) -> set[str]:
    """Return the ids of the tasks that these workers run now."""
    if not workers:
        return set()
    answers = app.control.inspect(destination=workers, timeout=ANSWER_SECONDS, limit=len(workers)).active()
    return {task["id"] for tasks in (answers or {}).values() for task in tasks or ()}


def quarters(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names in order, a quarter of them at a time, and one at least."""
    size = max(1, len(names) // 4)
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def _names(answers: Any) -> list[str]:
    return [name for name, _ in _each(answers)]


def _each(answers: Any) -> Iterator[tuple[str, Any]]:
    for answer in answers or ():
        yield from answer.items()
