"""Records the results that the background renews, without a request: one process of the scope at a time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from django_lifesigns.checks.kept_connections import IDLE_SECONDS, close_kept
from django_lifesigns.history import recorder
from lifesigns import Engine
from lifesigns.events import StatusEvent
from lifesigns.shutdown import call_at_sigterm
from lifesigns.threads import start_thread
from lifesigns.weak import weakly

if TYPE_CHECKING:
    from lifesigns.events import Event

# As what processes that share claim the next turn.
NAME = "lifesigns.recorder"
TIMEOUT = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
# What is found meanwhile is written together: of results that are renewed so often some at a time.
LONGEST_WAIT, PAUSES = 30.0, 12
# How often a process that has not the turns notes what it has counted.
LOOK_SECONDS = 30.0
# After so many pauses without a turn another process takes them: before a result that is not recorded yet is replaced.
TAKEN_OVER = 1.1


class BackgroundRecording:
    """Records the results of all processes that share an engine's, in the one of them that has the turns.

    The engine gathers the results: its own as they are found, those of other processes twice in the time for which the
    shortest-lived of them are shown. When the process that has the turns ends, another one takes them at once. What it
    has not written by then is lost if it is killed: results of `LONGEST_WAIT` seconds. It ends with this object.
    """

    def __init__(self, engine: Engine, period: float) -> None:
        self._engine = engine
        self._pause = min(max(period / 2, SHORTEST_PAUSE), LONGEST_PAUSE)
        # No `Job`: that is called by a caller that wants its value, and this is to run by itself.
        self._looks = Engine(TIMEOUT, max(self._pause, LOOK_SECONDS), log=False)
        self._looks.register(NAME, weakly(self._look))
        self._is_changed = False
        # Its one item is with the thread that records changes. No lock: under gevent that would be one of greenlets,
        # and a fork could leave it locked.
        self._permit = [True]

    def start(self) -> None:
        """Record from now on; and what is known when this process ends."""
        recorder.record_at_exit(weakly(self.record))
        call_at_sigterm(weakly(self.record))
        self._engine.subscribe(self._record_change)
        self._looks.start_background()
        self._engine.watch_claims(NAME, weakly(self._look), gap=self._pause * TAKEN_OVER)

    def record(self) -> None:
        """Record what is known and new. Waits neither for a check nor for the database."""
        recorder.record_found(self._engine)

    def _look(self) -> None:
        """Take the turns from now on, if no other process has taken one for a pause."""
        if not self._engine.is_recording():
            if self._engine.claim_record(NAME, time.time(), gap=self._pause):
                every = min(LONGEST_WAIT, PAUSES * self._pause)
                self._engine.start_recording(NAME, weakly(self.record), pause=self._pause, every=every)
            else:
                recorder.sample(self._engine)
        close_kept(IDLE_SECONDS)

    def _record_change(self, event: Event) -> None:
        """Record a change of status at once."""
        if isinstance(event, StatusEvent):
            self._is_changed = True
            if self._permit:  # else the thread that has it looks again before it ends
                with suppress(RuntimeError):  # there can be no more threads: it is recorded with the next results
                    start_thread(self._record_changes)

    def _record_changes(self) -> None:
        """Record all changes since the last time, on a thread of its own: it may wait for claims."""
        while self._is_changed:
            try:
                self._permit.pop()
            except IndexError:  # another thread has it
                return
            self._is_changed = False
            try:
                self.record()
            finally:
                self._permit.append(True)
