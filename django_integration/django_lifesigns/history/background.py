"""Records the results that the background renews, without a request: one process of the scope at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django_lifesigns.checks.kept_connections import IDLE_SECONDS, close_kept
from django_lifesigns.history import recorder
from django_lifesigns.history.rows import is_shown
from lifesigns import Engine
from lifesigns.events import StatusEvent
from lifesigns.shutdown import call_at_sigterm
from lifesigns.threads import start_thread
from lifesigns.weak import weakly

if TYPE_CHECKING:
    from lifesigns.events import Event

# Of the snapshots, and as what processes that share claim the next one.
NAME = "lifesigns.recorder"
TIMEOUT = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
# What several snapshots bring is written together, at the latest so many seconds after it was found.
WRITE_EVERY = 15.0
# How much earlier the engine renews what is to be good for a time.
EARLY = 0.5
# How often a process that has not the turns notes what it has counted.
LOOK_SECONDS = 30.0
# After so many pauses without a turn another process takes them: before a result that is not recorded yet is replaced.
TAKEN_OVER = 1.1


class BackgroundRecording:
    """Takes a snapshot of an engine's results twice in the time for which the shortest-lived of them are shown.

    The engine's own background renews the results; a snapshot runs nothing that is fresh. Of the processes that share,
    the one that took the last snapshot takes the next: when it ends, another one does at once. What it has not written
    by then is lost if it is killed: `WRITE_EVERY` seconds of results at most. It ends with this object.
    """

    def __init__(self, engine: Engine, period: float) -> None:
        self._engine = engine
        self._pause = min(max(period / 2, SHORTEST_PAUSE), LONGEST_PAUSE)
        # No `Job`: that is called by a caller that wants its value, and this is to run by itself.
        self._looks = Engine(TIMEOUT, max(self._pause, LOOK_SECONDS), log=False)
        self._looks.register(NAME, weakly(self._look))
        # While this process has the turns.
        self._turns: Engine | None = None
        self._has_claimed = False
        self._delay = max(0.0, min(WRITE_EVERY - self._pause, 5 * self._pause))
        # When the results were found that the snapshots have had so far, by check.
        self._recorded: dict[str, float] = {}
        self._is_changed = False
        # Its one item is with the thread that records changes. No lock: under gevent that would be one of greenlets,
        # and a fork could leave it locked.
        self._permit = [True]

    def start(self) -> None:
        """Record from now on; and what is known when this process ends."""
        recorder.record_at_exit(weakly(self.record))
        call_at_sigterm(weakly(self._end))
        self._engine.subscribe(self._record_change)
        self._looks.start_background()
        self._engine.watch_claims(NAME, weakly(self._look), gap=self._pause * TAKEN_OVER)

    def record(self, delay: float = 0.0) -> None:
        """Record what is known and new. Waits neither for a check nor for the database."""
        found_at = self._engine.found_at()
        new = {name: at for name, at in found_at.items() if self._recorded.get(name) != at}
        results: Mapping[str, Any] = self._engine.run(new, deadline=0) if new else {"checks": {}}
        recorder.record(results, self._engine, log_failures=False, delay=delay)
        # What another answer hides, as while the check runs again, is looked at again.
        self._recorded |= {name: at for name, at in new.items() if is_shown(results["checks"][name])}

    def _look(self) -> None:
        """Take the turns from now on, if no other process has taken one for a pause."""
        if self._turns is None:
            self._has_claimed = self._engine.claim_record(NAME, time.time(), gap=self._pause)
            if self._has_claimed:
                self._turns = Engine(TIMEOUT, self._pause + min(EARLY, self._pause / 5), log=False)
                self._turns.register(NAME, weakly(self._take_turn))
                self._turns.start_background()
            else:
                recorder.sample(self._engine)
        close_kept(IDLE_SECONDS)

    def _take_turn(self) -> None:
        has_claimed, self._has_claimed = self._has_claimed, False
        # Half of the pause: the process that has the turns is never refused one by its own last one.
        if has_claimed or self._engine.claim_record(NAME, time.time(), gap=self._pause / 2):
            self.record(self._delay)
        else:
            self._turns = None

    def _end(self) -> None:
        """Write what is known, and from now on at once: this process is about to end."""
        self._delay = 0.0
        self.record()

    def _record_change(self, event: Event) -> None:
        """Record a change of status before the next run hides it."""
        if isinstance(event, StatusEvent):
            self._is_changed = True
            if self._permit:  # else the thread that has it looks again before it ends
                with suppress(RuntimeError):  # there can be no more threads: the next snapshot may still have it
                    start_thread(self._record_changes)

    def _record_changes(self) -> None:
        """Take a snapshot for all changes since the last one, on a thread of its own: it may wait for claims."""
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
