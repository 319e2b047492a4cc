"""From `TASK_QUEUE`, or the installed apps, to the checks of the task queue."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from django.conf import settings
from django.db import connections

from django_lifesigns.checks import tasks as through_django
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import (
    CannotCheckError,
    DiscoveryContext,
    NoTargetError,
    WrongSettingError,
    WrongTargetError,
)
from django_lifesigns.targets.databases import is_native, require_readable, server, vendor
from django_lifesigns.targets.queues import presets
from django_lifesigns.targets.queues.background_task import background_task
from django_lifesigns.targets.queues.django_tasks import why_no_queue
from django_lifesigns.targets.queues.task_queue import FURTHER, TaskQueue
from lifesigns import specs


def task_queue(search: DiscoveryContext) -> Check:
    """Check 6."""
    return _check(search, None, specs.TaskTables, through_django.TaskQueueTables)


def pending_tasks(search: DiscoveryContext) -> Check:
    """Check 20."""
    return _check(search, "pending_sql", specs.PendingTasks, through_django.PendingTasks)


def failed_tasks(search: DiscoveryContext) -> Check:
    """Check 21."""
    return _check(search, "failed_sql", specs.FailedTasks, through_django.FailedTasks)


def task_workers(search: DiscoveryContext) -> Check:
    """Check 22."""
    expected = search.conf.expected_workers
    return _check(search, "workers_sql", specs.TaskWorkers, through_django.TaskWorkers, expected_workers=expected)


def _queue(search: DiscoveryContext) -> tuple[TaskQueue, bool]:
    """The queue, and whether its tables have to be there."""
    configured = search.conf.task_queue or presets.installed()
    if configured is None and not search.required and settings.is_overridden("TASKS") and why_no_queue():
        configured = "django-tasks"  # to say why it is not checked
    if configured is None:
        return background_task(), search.required
    try:
        queue = presets.configured(configured)
    except WrongTargetError:
        raise
    except ValueError as error:
        raise WrongSettingError(f"LIFESIGNS['TASK_QUEUE'] {error}") from error
    if queue.database not in connections.settings:
        where = f"the task queue {queue.backend} is in the database {queue.database!r}"
        raise WrongTargetError(f"{where}, which is not in DATABASES")
    return queue, not presets.is_of_tenants()


def _finished(search: DiscoveryContext, database: str, sql: str) -> specs.FinishedTasks | None:
    """Return what counts the finished tasks of a queue that is elsewhere; None where no native check can."""
    try:
        return specs.FinishedTasks(server=server(search, database), sql=sql)
    except (CannotCheckError, NoTargetError, WrongTargetError):
        return None  # it is beside the broker: another check says what is wrong with the database


def _check(search: DiscoveryContext, sql_key: str | None, native: Any, through_django: Any, **fields: Any) -> Check:
    queue, required = _queue(search)
    for note in queue.notes:
        search.note(note, "Replace the checks of the task queue where that matters.")
    if reason := queue.unknown.get(search.name):
        raise CannotCheckError(reason)
    search.options |= queue.options.get(search.name, {})
    check: Any = queue.checks.get(search.name)
    if check is not None:
        names = {item.name for item in dataclasses.fields(check)}
        if "finished" in names and queue.finished_sql:
            fields["finished"] = _finished(search, queue.database, queue.finished_sql)
        return cast("Check", dataclasses.replace(check, **{name: fields[name] for name in names & fields.keys()}))
    fields["required"] = required
    further = {key: value for key in FURTHER.get(search.name, ()) if (value := getattr(queue, key))}
    if sql_key is None:
        fields |= {"backend": queue.backend, "tables": queue.tables}
    elif sql := getattr(queue, sql_key):
        fields |= {"sql": sql, "tables": presets.tables_read(queue.tables, sql), **further}
    elif queue.stuck_sql and "stuck_sql" in further:
        fields |= {"tables": presets.tables_read(queue.tables, queue.stuck_sql), **further}
    else:
        raise NoTargetError(f"set {sql_key!r} in LIFESIGNS['TASK_QUEUE'] for this check")
    if not fields["tables"]:
        raise NoTargetError("set 'tables' in LIFESIGNS['TASK_QUEUE'] for this check")
    database = queue.databases.get(search.name, queue.database)
    require_readable(search, database)
    if vendor(database) == "unknown":
        raise NoTargetError("set DATABASES to check a task queue in it")
    if not is_native(database):
        return cast("Check", through_django(database=database, **{"backend": queue.backend, **fields}))
    return cast("Check", native(server=server(search, database), **fields))
