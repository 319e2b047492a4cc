"""Reads the history that the dashboard shows, on threads of an engine: a database that hangs delays no page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.signals import setting_changed
from django.db import Error

from django_lifesigns.actions.tables import ActionRun
from django_lifesigns.alerts.tables import Incident
from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.dashboard.reading import History, forget, known_strips, read, read_rest, recent_strips
from django_lifesigns.dashboard.strips import Strip
from django_lifesigns.history import isolated
from django_lifesigns.models import HealthCheckLog, Rollup
from django_lifesigns.runtime.lookups import Lookups
from django_lifesigns.runtime.waiting import Wait
from lifesigns import Job

# How long a reading may take, and how long a page waits for it: a database that is only slow is shown by the next one.
READ_SECONDS = 5.0
WAIT_SECONDS = 1.5
# One reading of all checks serves all pages within this time.
KEPT_SECONDS = 5.0


async def read_history(wait: Wait, check: str | None = None, *, has_rates: bool = True) -> History:
    """Return what the database has of all checks, or more of one, within `WAIT_SECONDS`.

    Args:
        has_rates: with the burn rates of objectives, which no page of all checks shows: they take longest.
    """
    if is_under_test():
        found = partial(_isolated, check, has_rates)
        return await wait(found, sync_to_async(found))
    try:
        if check is not None:
            return await _of_checks().find(check, wait)
        return await _of_all(wait, has_rates)
    except Exception as error:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
        return History(error=type(error).__name__)


def _isolated(check: str | None, has_rates: bool) -> History:
    """Read in the transaction of the caller's test."""
    found = isolated.read(partial(read, check, has_rates), HealthCheckLog, Rollup, Incident, ActionRun)
    return found or History(error=Error.__name__)


async def _of_all(wait: Wait, has_rates: bool) -> History:
    """Read the strips and the rest at the same time: each takes the database about as long as the other."""
    strips, rest, end = _strips(), _rest(has_rates), time.monotonic() + WAIT_SECONDS
    with suppress(Exception):  # it is waited for below
        await wait(strips.run, strips.arun, deadline=0)
    history = await wait(rest.run, rest.arun, deadline=WAIT_SECONDS)
    found = known_strips()
    if found is None:
        found = await wait(strips.run, strips.arun, deadline=max(0.0, end - time.monotonic()))
    return replace(history, strips=found)


@lru_cache(1)
def _strips() -> Job[Mapping[str, Strip]]:
    return Job(returning_connections(recent_strips), timeout=READ_SECONDS, ttl=KEPT_SECONDS)


@lru_cache(2)
def _rest(has_rates: bool) -> Job[History]:
    return Job(returning_connections(partial(read_rest, has_rates)), timeout=READ_SECONDS, ttl=KEPT_SECONDS)


@lru_cache(1)
def _of_checks() -> Lookups[str, History]:
    return Lookups(_read_if_possible, WAIT_SECONDS)


def _read_if_possible(check: str) -> History:
    try:
        return read(check)
    except Exception as error:  # noqa: BLE001  # whatever a driver, or a router of the project's, raises
        return History(error=type(error).__name__)


def _reset(**_: Any) -> None:
    forget()
    _strips.cache_clear()
    _rest.cache_clear()
    _of_checks.cache_clear()


setting_changed.connect(_reset)
