"""Keeps the table of actions equal to the store, and the store's switches to the table's: beside everything else.

Actions need no database: what they do while there is none stays in the store, and is written once there is one.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.db import router

from django_lifesigns.actions.exchange import switches, write
from django_lifesigns.actions.tables import ALL, ActionRun
from django_lifesigns.checks.connections import has_database
from django_lifesigns.history.turns import Turns
from lifesigns import Engine
from lifesigns.weak import weakly

logger = logging.getLogger("django_lifesigns")

NAME = "lifesigns.actions"
# Between two readings of the switches.
LOOK_SECONDS = 10.0


class ActionMirror:
    """Exchanges what is new between an engine and the tables. It ends with this object.

    Args:
        engine: with actions.
        application: in whose name they act.
    """

    def __init__(self, engine: Engine, application: str) -> None:
        self._engine = engine
        self._application = application
        # When the switches that this process has followed were changed.
        self._followed: dict[str, datetime] = {}
        self._has_looked = False
        self._next_look = 0.0
        self._is_failing = False
        self._turns = Turns(NAME, weakly(self.sync), weakly(self.sync))

    def start(self) -> None:
        """Exchange from now on, and once more when this process ends."""
        self._turns.start()

    def sync(self) -> None:
        """Exchange now, if the engine has anything new or the switches were not read for a while."""
        new = [entry for entry in self._engine.action_log() if entry["confirmed"] < entry["revision"]]
        is_due = time.monotonic() >= self._next_look
        if not (new or is_due) or not has_database(router.db_for_write(ActionRun)):
            return
        try:
            revisions = write(new, self._application)
            found = switches() if is_due else {}
        except Exception as error:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
            self._log_failure(error)
            return
        self._is_failing = False
        if is_due:
            self._next_look = time.monotonic() + LOOK_SECONDS
        try:
            self._engine.confirm_actions(revisions)
            for name, (is_on, author, changed_at) in found.items():
                # One that was on before this process looked has been followed by others: since then an operator may
                # have switched it off where the tables could not be written.
                if self._followed.get(name) != changed_at and not (is_on and not self._has_looked):
                    self._follow(name, is_on, author)
                self._followed[name] = changed_at
            self._has_looked = self._has_looked or is_due
        except TimeoutError:  # another process holds the store
            self._next_look = 0.0

    def _follow(self, name: str, is_on: bool, author: str) -> None:
        try:
            self._engine.switch_action(None if name == ALL else name, is_on, author)
        except LookupError:
            logger.debug("actions: the switch %r is of another version of the settings", name)

    def _log_failure(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            name = type(error).__name__
            logger.warning("actions: cannot be written (%s; run migrate?); the store keeps them until then", name)
