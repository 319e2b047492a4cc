"""Keeps the tables of incidents equal to the store: one process of the scope at a time, beside everything else.

Of a fleet that is one of the host that decides about incidents.

Alerts need no database: what happens while there is none stays in the store, and is written once there is one.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import ProgrammingError, router
from django.utils import timezone

from django_lifesigns.alerts.exchange import MOST_ROWS, Exchange, exchange
from django_lifesigns.alerts.rows import matchers_of, seconds
from django_lifesigns.alerts.tables import Incident, Silence
from django_lifesigns.checks.connections import has_database
from django_lifesigns.checks.read_only import is_read_only
from django_lifesigns.history.turns import EVERY_SECONDS, Turns
from lifesigns import Engine
from lifesigns.redaction import redact
from lifesigns.weak import weakly

logger = logging.getLogger("django_lifesigns")

# Of the turns, and as what processes that share claim the next one.
NAME = "lifesigns.incidents"
# Between two readings of the tables where the engine has nothing new.
LOOK_SECONDS = 10.0


class IncidentMirror:
    """Exchanges what is new between an engine and the tables. It ends with this object.

    Args:
        engine: with alerts.
        application: that of the alerts.
        is_shared: whether other processes of this host have the same incidents.
        fleet: the name of the fleet whose hosts have the same.
    """

    def __init__(self, engine: Engine, application: str, *, is_shared: bool, fleet: str | None = None) -> None:
        self._engine = engine
        self._application = application
        self._instance = instance_name(is_shared, fleet)
        # What the tables have, as far as this process knows: the revision by the id of the incident.
        self._kept: dict[str, int] = {}
        self._next_look = 0.0
        self._is_failing = False
        # What the engine did not take, so that it is logged once.
        self._refused: set[str] = set()
        self._turns = Turns(NAME, weakly(self._take_turn), weakly(self.sync))

    def start(self) -> None:
        """Exchange from now on, and once more when this process ends."""
        self._turns.start()

    def sync(self) -> None:
        """Exchange now, if the engine has anything new or the tables were not read for a while."""
        if not self._engine.decides_incidents():
            return
        incidents, silences = self._engine.incidents(), self._engine.silences()
        is_new = any(self._kept.get(found["id"], -1) < found["revision"] for found in incidents)
        if not (is_new or time.monotonic() >= self._next_look):
            return
        try:
            if not has_database(router.db_for_write(Incident)):
                return
            found = exchange(incidents, silences, application=self._application, instance=self._instance)
        except Exception as error:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
            self._log_failure(error)
            return
        if self._is_failing:
            self._is_failing = False
            logger.info("incidents: written again")
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._kept = found.confirmed
        self._apply(found)

    def _take_turn(self) -> None:
        # Half of the pause: a process that is alone is never refused its turn by its own last one.
        if self._engine.claim_record(NAME, time.time(), gap=EVERY_SECONDS / 2):
            self.sync()

    def _apply(self, found: Exchange) -> None:
        """Have the engine do what stands in the tables, each piece whatever becomes of the others."""
        engine = self._engine
        self._attempt("confirmation", engine.confirm_incidents, found.confirmed)
        for row in self._still_open(found.acknowledged):
            # The column may be shorter than the name.
            words = (row.record.get("check", row.check_name), row.acknowledged_by, row.acknowledgement)
            self._attempt(f"acknowledgement of {row.pk}", engine.acknowledge, *words)
        restore_and_retry = partial(engine.restore_incidents, retry=True)
        retries: dict[str, Callable[[], Any]] = {pk: partial(engine.retry_deliveries, pk) for pk in found.retries}
        retries |= {row.pk: partial(restore_and_retry, [row.record]) for row in found.retries_of_others}
        self._request_again([pk for pk, do in retries.items() if not self._attempt(f"retry of {pk}", do)])
        for pk, number in found.resolved_elsewhere.items():
            self._attempt(f"incident {pk}", engine.trigger_again, pk, number)
        for record in found.restored:
            name = record.get("id") if isinstance(record, dict) else type(record).__name__
            self._attempt(f"incident {name}", engine.restore_incidents, [record])
        for silence in found.silences:
            self._attempt(f"silence {silence.pk}", add_silence, engine, silence)
        for pk in found.ended_silences:
            self._attempt(f"end of silence {pk}", engine.expire_silence, pk)

    def _still_open(self, rows: list[Incident]) -> list[Incident]:
        """Return those that are open now: the engine acknowledges by check, which may have another one by then."""
        if not rows:
            return []
        now_open = {found["id"] for found in self._engine.incidents(open_only=True)}
        return [row for row in rows if row.pk in now_open]

    def _request_again(self, retries: list[str]) -> None:
        """Have those delivered again by the next exchange: their request is no longer in the tables."""
        if retries:
            try:
                Incident.objects.filter(pk__in=retries).update(retry_requested_at=timezone.now())
            except Exception as error:  # noqa: BLE001  # as above
                self._log_failure(error)

    def _attempt(self, what: str, do: Callable[..., Any], *arguments: Any) -> bool:
        """Return False where it is to be done again: another process holds the store."""
        try:
            do(*arguments)
        except TimeoutError:
            self._next_look = 0.0
            return False
        except (ValueError, TypeError, LookupError) as error:  # the row may be from elsewhere
            if what not in self._refused and len(self._refused) < MOST_ROWS:
                self._refused.add(what)
                logger.warning("incidents: the %s in the tables is ignored: %s", what, redact(str(error)))
        return True

    def _log_failure(self, error: Exception) -> None:
        if self._is_failing:
            return
        self._is_failing = True
        reason = "the database is read-only" if is_read_only(error) else _reason(error)
        logger.warning(
            "incidents: cannot be written (%s); alerts are sent, and the store keeps them until then", reason
        )


def add_silence(engine: Engine, row: Silence) -> None:
    """Add a silence of the tables, under its id, to those of an engine."""
    start, end = seconds(row.starts_at), seconds(row.ends_at)
    engine.silence(matchers_of(row), start, end, row.author, row.comment, silence_id=row.pk)


def instance_name(is_shared: bool, fleet: str | None = None) -> str:
    """Return the name of the scope: a fleet, this user's processes of this host, or this process alone."""
    if fleet is not None:
        return f"fleet:{fleet}"
    user = os.getuid() if hasattr(os, "getuid") else 0
    own = "" if is_shared else f":{uuid4().hex}"
    return f"{socket.gethostname()}:{user}{own}"


def _reason(error: Exception) -> str:
    name = type(error).__name__
    # SQLite says so by its text alone.
    is_missing = isinstance(error, ProgrammingError) or "no such table" in str(error)
    return f"{name}; run migrate?" if is_missing else name
