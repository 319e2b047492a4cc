"""Has Celery's workers replace their pools of processes: a quarter of the workers at a time.

Celery replaces a process once its task is done, which it never is where it hangs. So the tasks of a worker are ended
where each of its processes runs one, and the same for some time.
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
# For how long nothing has moved in a worker that is stuck.
STILL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryPool:
    """Restarts the pools of all workers that answer, or of those that are named.

    It needs `worker_pool_restarts`. Tasks of a worker in which nothing moves are ended, and not delivered again.
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
        stuck = _stuck(app, names)
        restarted: list[str] = []
        refused = ended = 0
        for batch in quarters(names):
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
            hanging = [task for name in done for task in stuck.get(name, ())]
            if hanging:
                app.control.revoke(hanging, destination=done, terminate=True, signal="SIGKILL")
            ended += len(hanging)
        missing = len(names) - len(restarted) - refused
        if not restarted:
            raise CheckFailed(f"{refused} workers refused, {missing} did not answer")
        text = f"restarted the pools of {len(restarted)} of {len(names)} workers"
        if ended:
            text += f", ended {ended} task{'' if ended == 1 else 's'}"
        return f"{text}; {refused} refused, {missing} did not answer" if refused or missing else text


def _stuck(app: Any, workers: Sequence[str]) -> dict[str, set[str]]:
    """Return the tasks of each worker that has no free process, and in which none starts or ends for a while."""
    inspect = app.control.inspect(destination=workers, timeout=ANSWER_SECONDS, limit=len(workers))
    sizes = {name: _size(stats) for name, stats in (inspect.stats() or {}).items()}
    full = {name: tasks for name, tasks in _running(inspect).items() if 0 < sizes.get(name, 0) <= len(tasks)}
    if not full:
        return {}
    time.sleep(STILL_SECONDS)
    now = _running(inspect)
    return {name: tasks for name, tasks in full.items() if now.get(name) == tasks}


def _size(stats: Any) -> int:
    """Return how many tasks a worker runs at once; 0 where it does not say."""
    size = (stats.get("pool") or {}).get("max-concurrency")
    return size if isinstance(size, int) else 0


def _running(inspect: Any) -> dict[str, set[str]]:
    """Return the ids of the tasks that each worker runs now."""
    return {name: {task["id"] for task in tasks or ()} for name, tasks in (inspect.active() or {}).items()}


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
