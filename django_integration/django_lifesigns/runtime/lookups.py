"""What requests have to look up, on one thread for all of them, within a deadline."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.runtime.waiting import Wait
from lifesigns import Job

Key = TypeVar("Key")
Found = TypeVar("Found")


class Question(Generic[Key, Found]):
    """What is looked up, and what was found once that is known."""

    __slots__ = ("found", "is_known", "key")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.is_known = False
        self.found: Found

    def answer(self, found: Found) -> None:
        self.found = found
        self.is_known = True


class Lookups(Generic[Key, Found]):
    """Looks up what all requests want in one job: one that hangs holds one thread, however many requests wait.

    Args:
        look_up: raises nothing. It has the connections of its thread.
        seconds: how long a caller waits at most. While a lookup is stuck, further ones do not wait at all.
    """

    def __init__(self, look_up: Callable[[Key], Found], seconds: float) -> None:
        self._look_up = look_up
        self._seconds = seconds
        self._waiting: deque[Question[Key, Found]] = deque()
        self._job = Job(returning_connections(self._look_all_up), timeout=seconds)

    async def find(self, key: Key, wait: Wait) -> Found:
        """Return what is found.

        Raises:
            TimeoutError: not in time.
            JobError: no thread could look it up.
        """
        question: Question[Key, Found] = Question(key)
        self._waiting.append(question)
        end = time.monotonic() + self._seconds
        try:
            # A run that was in progress may have been about to end.
            while not question.is_known:
                await wait(self._job.run, self._job.arun, deadline=max(0.0, end - time.monotonic()))
        finally:
            with suppress(ValueError):  # it was taken
                self._waiting.remove(question)
        return question.found

    def _look_all_up(self) -> None:
        while self._waiting:
            try:
                question = self._waiting.popleft()
            except IndexError:  # its caller has left
                return
            question.answer(self._look_up(question.key))
