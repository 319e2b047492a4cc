"""Keeps tables equal to the store in turns: every two seconds beside everything else, and at the end of the process."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.history.at_exit import before_exit
from lifesigns import Engine, Job
from lifesigns.weak import weakly

logger = logging.getLogger("django_lifesigns")

TIMEOUT = 10.0
EVERY_SECONDS = 2.0
# How long the end of the process waits for what is not written yet.
EXIT_SECONDS = 2.0


class Turns:
    """Calls a function in each turn, one call at a time. They end with this object.

    Args:
        name: of the turns, for the log.
        take: called each time.
        take_last: called when the process ends.
    """

    def __init__(self, name: str, take: Callable[[], None], take_last: Callable[[], None]) -> None:
        self._name = name
        self._timer = Engine(TIMEOUT, EVERY_SECONDS, log=False)
        self._timer.register(name, returning_connections(take))
        self._last = Job(returning_connections(take_last), timeout=TIMEOUT)

    def start(self) -> None:
        """Take turns from now on, and the last one when this process ends."""
        before_exit(weakly(self._end))
        self._timer.start_background()

    def _end(self) -> None:
        try:
            self._last.run(refresh=True, deadline=EXIT_SECONDS)
        except Exception as error:  # noqa: BLE001  # nothing may keep the process from ending
            logger.debug("%s: not written at the end of the process (%s)", self._name, type(error).__name__)
