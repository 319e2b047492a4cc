"""What staff with the permission do from the dashboard: each is logged with the name of the user."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.mirror import add_silence
from django_lifesigns.alerts.tables import Incident, Silence
from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.runtime.engine import Runtime
from django_lifesigns.runtime.waiting import Wait, in_thread
from lifesigns import Breaker, Job, JobError

logger = logging.getLogger("lifesigns.audit")

# By the value of a form's button, the permission that it takes.
PERMISSIONS = {
    "run": "lifesigns.run_check",
    "acknowledge": "lifesigns.acknowledge_incident",
    "silence": "lifesigns.add_silence",
    "breaker-reset": "lifesigns.force_breaker",
    "breaker-force-open": "lifesigns.force_breaker",
    "breaker-force-close": "lifesigns.force_breaker",
    "breaker-disable": "lifesigns.force_breaker",
}
BREAKERS: dict[str, Callable[[Breaker], None]] = {
    "breaker-reset": lambda breaker: breaker.reset(),
    "breaker-force-open": lambda breaker: breaker.force_open(),
    "breaker-force-close": lambda breaker: breaker.force_closed(),
    "breaker-disable": lambda breaker: breaker.disable(),
}
# What the page says afterwards, by the value of `?done=`.
DONE = {
    "run": lazy("The check was run."),
    "running": lazy("The check is running: its result is shown once it is there."),
    "acknowledge": lazy("The incident is acknowledged: there are no more reminders."),
    "not-open": lazy("There is no open incident of this check that is not acknowledged yet."),
    "silence": lazy("The check is silenced for an hour."),
    "breaker-reset": lazy("The circuit breaker is reset: the results decide again."),
    "breaker-force-open": lazy("The circuit breaker is forced open until it is reset: the check does not run."),
    "breaker-force-close": lazy("The circuit breaker is forced closed until it is reset: the check runs in any case."),
    "breaker-disable": lazy("The circuit breaker is disabled until it is reset: the check runs as if it had none."),
    "no-breaker": lazy("This check has no circuit breaker."),
    "not-written": lazy("It is done on this host; others follow once the database can be written."),
    "failed": lazy("It could not be done: the database cannot be written."),
}
# How long a page waits for a run, and for the database.
RUN_SECONDS = 2.0
WRITE_SECONDS = 2.0


async def act(action: str, check: str, author: str, runtime: Runtime, wait: Wait) -> str:
    """Do what a button stands for, and return the key of `DONE` of its outcome."""
    if action == "run":
        done = await _run(check, runtime, wait)
    elif action in BREAKERS:
        done = await in_thread(wait, _operate, action, check, runtime)
    elif action == "acknowledge":
        done = await _acknowledge(check, author, runtime, wait)
    else:
        done = await _silence(check, author, runtime, wait)
    facts = {"action": action, "check_name": check, "user": author}
    logger.info("%s of %s by %s: %s", action, check, author, done, extra=facts)
    return done


async def _run(check: str, runtime: Runtime, wait: Wait) -> str:
    engine = runtime.engine
    result = await wait(engine.check, engine.acheck, check, refresh=True, deadline=RUN_SECONDS)
    return "running" if result.get("pending") or result["cached"] else "run"


def _operate(action: str, check: str, runtime: Runtime) -> str:
    try:
        BREAKERS[action](runtime.engine.breaker(check))
    except ValueError:
        return "no-breaker"
    return action


async def _acknowledge(check: str, author: str, runtime: Runtime, wait: Wait) -> str:
    rows = Incident.objects.filter(application=runtime.alerts_as, check_name=check)
    here = await _in_engine(wait, runtime, lambda: runtime.engine.acknowledge(check, author))
    there = await _in_tables(wait, partial(operations.acknowledge, rows, author))
    if there is None:
        return "not-written" if here else "failed"
    return "acknowledge" if here or there else "not-open"


async def _silence(check: str, author: str, runtime: Runtime, wait: Wait) -> str:
    row = operations.new_silence(check, author=author, comment=_("From the dashboard"))

    def by_engine() -> bool:
        add_silence(runtime.engine, row)
        return True

    def by_tables() -> int:
        # What mirrors the store may have been faster.
        return len(Silence.objects.bulk_create([row], ignore_conflicts=True))

    here = await _in_engine(wait, runtime, by_engine)
    if await _in_tables(wait, by_tables) is None:
        return "not-written" if here else "failed"
    return "silence"


async def _in_engine(wait: Wait, runtime: Runtime, function: Callable[[], bool]) -> bool:
    """Do it in the store at once: other processes of this host see it, others find it in the tables."""
    if not runtime.has_alerts:
        return False
    try:
        return await in_thread(wait, function)
    except (TimeoutError, ValueError):  # another process holds the store, or there are too many silences
        return False


async def _in_tables(wait: Wait, function: Callable[[], int]) -> int | None:
    """Do it in the tables, and return how many rows it was; None where they cannot be written in time."""
    if is_under_test():
        return await wait(function, sync_to_async(function))
    job = Job(returning_connections(function), timeout=WRITE_SECONDS)
    try:
        return await wait(job.run, job.arun)
    except (Error, ImproperlyConfigured, TimeoutError, JobError):
        return None
