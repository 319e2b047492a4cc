"""Statements on a task queue's tables, through Django's own connection: their placeholders, ages and time limits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import timezone as zone
from typing import Any, cast

from django.db import Error, connections, transaction
from django.utils import timezone

from django_lifesigns.checks.sql_errors import is_of_statement
from django_lifesigns.checks.timezones import kept, utc

PLACEHOLDER = re.compile(r"\{(now|since|stuck_since)\}")
# Before every row.
EVER = datetime(1970, 1, 2, tzinfo=zone.utc)
# How long one further statement may run, and how late it may start: the check's own answer must not be late for it.
LIMIT_SECONDS = 0.5
START_SECONDS = 2.0
# By the detail: the field that has its statement.
FIELDS = {
    "finished_per_minute": "finished_sql",
    "last_heartbeat_seconds": "last_heartbeat_sql",
    "overdue_schedules": "overdue_sql",
    "running_tasks": "running_sql",
    "scheduled_tasks": "scheduled_sql",
    "stuck_tasks": "stuck_sql",
    "taken_tasks": "taken_sql",
}
# What converting a value of a database raises that is none of the expected type, or out of its range.
ODD_VALUE = (TypeError, ValueError, ArithmeticError)
LARGEST = 2**63 - 1
# Its statement selects a time alone.
TIME_ALONE = "last_heartbeat_seconds"


@dataclass(frozen=True, slots=True)
class FurtherRows:
    """By the name of the detail: the number and the age that a statement returned, or why it returned none."""

    found: dict[str, tuple[int | None, float | None]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    # The details whose statements are wrong.
    wrong: list[str] = field(default_factory=list)

    def count(self, detail: str) -> int | None:
        """Return the number; None if it is null or the statement did not run."""
        return self.found.get(detail, (None, None))[0]

    def age(self, detail: str) -> float | None:
        """Return the age in seconds."""
        return self.found.get(detail, (None, None))[1]

    def refuse(self, detail: str, reason: str) -> None:
        """Note that the statement of a detail is wrong."""
        self.wrong.append(detail)
        self.unavailable[detail] = reason

    def explained(self, result: dict[str, object], details: Mapping[str, object]) -> dict[str, object]:
        """Return the result with more details, and with why others are missing: degraded if a statement is wrong."""
        missing = {"unavailable": self.unavailable} if self.unavailable else {}
        result = {**result, "details": {**cast("dict[str, object]", result["details"]), **details, **missing}}
        for detail in self.wrong:
            text = f"{result['message']}; {FIELDS[detail]} is wrong: {self.unavailable[detail]}"
            result = {**result, "message": text, "status": "error" if result["status"] == "error" else "degraded"}
        return result


def rows(database: str, sql: str, **times: datetime) -> list[Any]:
    """Run a statement with `{now}`, `{since}` and `{stuck_since}` as this database keeps times."""
    connection = connections[database]
    times.setdefault("now", datetime.now(zone.utc))
    names = PLACEHOLDER.findall(sql)
    values = [connection.ops.adapt_datetimefield_value(kept(times[name])) for name in names]
    with connection.cursor() as cursor:
        cursor.execute(PLACEHOLDER.sub("%s", sql.replace("%", "%%")), values)
        return list(cursor.fetchall())


def further_rows(database: str, statements: Mapping[str, str | None], **times: datetime) -> FurtherRows:
    """Run statements of one row each; one that fails or takes too long costs its own detail only."""
    further = FurtherRows()
    started = time.monotonic()
    for detail, sql in statements.items():
        if sql is None:
            continue
        if time.monotonic() - started > START_SECONDS:
            further.unavailable[detail] = "not run, since the time of the check was used up"
            continue
        try:
            with _limited(connections[database]):
                row = next(iter(rows(database, sql, **times)), (0,))
        except (Error, *ODD_VALUE) as error:
            if is_of_statement(error):
                further.refuse(detail, f"the database does not accept the statement ({type(error).__name__})")
            else:
                further.unavailable[detail] = f"the statement failed or took too long ({type(error).__name__})"
            continue
        number, at = [*([None] if detail == TIME_ALONE else []), *row, None][:2]
        try:
            further.found[detail] = _count(number), _age(at, database)
        except ODD_VALUE:
            what = "no time" if detail == TIME_ALONE else "no number from 0, or no time beside it"
            further.refuse(detail, f"it returned {what}")
    return further


def minutes_ago(minutes: int) -> datetime:
    """Return the time so many minutes ago."""
    return datetime.now(zone.utc) - timedelta(minutes=minutes)


def age(at: object, database: str) -> float | None:
    """Return the seconds since a time as the database returns it; None where it is none."""
    try:
        return _age(at, database)
    except ODD_VALUE:
        return None


def _count(number: Any) -> int | None:
    """Return a number as the database returns it; raises one of `ODD_VALUE` where it cannot be a count."""
    if number is None:
        return None
    if not 0 <= int(number) <= LARGEST:
        raise ValueError
    return int(number)


def _age(at: object, database: str) -> float | None:
    """As `age`, but raises one of `ODD_VALUE`. SQLite returns text, MySQL names no zone."""
    if at is None:
        return None
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if not isinstance(at, datetime):
        raise TypeError
    kept_in = connections[database].timezone
    if timezone.is_naive(at) and kept_in is not None:
        at = timezone.make_aware(at, kept_in)
    return round(max(0.0, (datetime.now(zone.utc) - utc(at)).total_seconds()), 1)


@contextmanager
def _limited(connection: Any) -> Iterator[None]:
    """Let the statements inside run for at most `LIMIT_SECONDS`, on the engines that have such a limit."""
    limit = {"sqlite": _interrupted, "mysql": _limited_mysql, "postgresql": _limited_postgresql}.get(connection.vendor)
    # A failure must not end the transaction of a caller's.
    savepoint = transaction.atomic(connection.alias) if connection.in_atomic_block else nullcontext()
    with savepoint, limit(connection) if limit else nullcontext():
        yield


@contextmanager
def _limited_postgresql(connection: Any) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        _execute(connection, f"SELECT set_config('statement_timeout', '{round(LIMIT_SECONDS * 1000)}', true)")
        yield


@contextmanager
def _limited_mysql(connection: Any) -> Iterator[None]:
    in_seconds = connection.mysql_is_mariadb
    name = "max_statement_time" if in_seconds else "max_execution_time"
    _execute(connection, f"SET SESSION {name} = {LIMIT_SECONDS if in_seconds else round(LIMIT_SECONDS * 1000)}")
    try:
        yield
    finally:
        _execute(connection, f"SET SESSION {name} = DEFAULT")


@contextmanager
def _interrupted(connection: Any) -> Iterator[None]:
    connection.ensure_connection()
    raw, deadline = connection.connection, time.monotonic() + LIMIT_SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _execute(connection: Any, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
