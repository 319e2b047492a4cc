"""Has Celery's workers replace their pools of processes: a quarter of the workers at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django_lifesigns.checks.celery_app import application
from lifesigns import CheckFailed

# Seconds to wait for the answers of workers.
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryPool:
    """Restarts the pools of all workers that answer, or of those that are named.

    It needs `worker_pool_restarts`. What a pool runs is ended, and delivered again only with `acks_late`.
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
        refused: dict[str, str] = {}
        for batch in quarters(names):
            answers = app.control.broadcast(
                "pool_restart",
                arguments={"reload": False},
                destination=batch,
                reply=True,
                timeout=ANSWER_SECONDS,
                limit=len(batch),
            )
            for name, answer in _each(answers):
                if isinstance(answer, dict) and "ok" in answer:
                    restarted.append(name)
                else:
                    refused[name] = "refused"
        missing = len(names) - len(restarted) - len(refused)
        if not restarted:
            raise CheckFailed(f"{len(refused)} workers refused, {missing} did not answer")
        rest = f"; {len(refused)} refused, {missing} did not answer" if refused or missing else ""
        return f"restarted the pools of {len(restarted)} of {len(names)} workers{rest}"


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
