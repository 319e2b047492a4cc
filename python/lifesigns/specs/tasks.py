"""What is checked of a task queue: its tables in PostgreSQL, or its broker."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from lifesigns.specs.base import Spec, Value
from lifesigns.specs.network import AmqpServer, RedisServer
from lifesigns.specs.postgres import PostgresServer
from lifesigns.specs.rules import Thresholds
from lifesigns.specs.tls import Tls


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedTasks(Value):
    """What counts the finished tasks of a queue whose results are in PostgreSQL."""

    server: PostgresServer
    sql: str
    """One `SELECT count(*)` of the tasks that have finished since `{since}`; null where that cannot be known."""
    window_minutes: int | None = None
    """The window in which they are counted (5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTables(Spec):
    """The tables of the task queue `backend` exist."""

    kind: ClassVar[str] = "task_tables"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    backend: str
    tables: Sequence[str]
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingTasks(Spec):
    """The depth of the deepest queue (100, 500), and the age of the oldest task. Overdue schedules make the result
    degraded."""

    kind: ClassVar[str] = "pending_tasks"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    sql: str
    """One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null). `{now}` stands
    for the present and `{since}` for the start of the window, in every statement."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    thresholds: Thresholds | None = None
    """The depth of the deepest queue."""
    oldest_seconds: float | None = None
    """Degraded if the oldest task that could run has waited for longer, in seconds (86,400); 0 is no limit."""
    scheduled_sql: str | None = None
    """One `SELECT count(*)` of the tasks that are not yet due."""
    taken_sql: str | None = None
    """One `SELECT` of two columns: how many tasks are taken and not finished, and when the oldest was taken
    (timestamp, may be null)."""
    finished_sql: str | None = None
    """One `SELECT count(*)` of the tasks that have finished since `{since}`; null where that cannot be known."""
    overdue_sql: str | None = None
    """One `SELECT count(*)` of the schedules that were due before `{since}` and have not run."""
    window_minutes: int | None = None
    """The window in which finished tasks are counted, and by which a schedule may be late (5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTasks(Spec):
    """Failures (5, 20) within `window_minutes` (60)."""

    kind: ClassVar[str] = "failed_tasks"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    sql: str
    """One `SELECT count(*)`; `{since}` stands for the start of the window, `{now}` for the present."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    window_minutes: int | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskWorkers(Spec):
    """Workers with a heartbeat within `heartbeat_window_minutes` (5), against `expected_workers` (1). Stuck tasks
    make the result degraded."""

    kind: ClassVar[str] = "task_workers"
    server: PostgresServer | None = None
    url: str | None = field(default=None, repr=False)
    """A URL, in place of `server`."""
    sql: str | None = None
    """One `SELECT count(*)` of workers; `{since}` stands for the start of the window, `{now}` for the present, in
    every statement. None where workers leave no heartbeat: only stuck tasks are judged then."""
    tables: Sequence[str]
    """The tables that `sql` reads."""
    required: bool | None = None
    """False: if none of the tables exists the check is skipped."""
    heartbeat_window_minutes: int | None = None
    expected_workers: int | None = None
    last_heartbeat_sql: str | None = None
    """One `SELECT` of the time at which any worker last sent a heartbeat (timestamp, may be null)."""
    running_sql: str | None = None
    """One `SELECT` of two columns: how many tasks are running, and since when the oldest is (timestamp, may be
    null)."""
    stuck_sql: str | None = None
    """One `SELECT count(*)` of the tasks that are stuck, since their worker died. `{stuck_since}` stands for the
    time `stuck_after_minutes` (60) ago."""
    stuck_after_minutes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisTaskBroker(Spec):
    """`PING` of the Redis server that the task queue `backend` has as its broker."""

    kind: ClassVar[str] = "redis_task_broker"
    server: RedisServer
    alternatives: Sequence[RedisServer] | None = None
    """Used in this order while `server` is unreachable, as by clients with several URLs."""
    backend: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisPendingTasks(Spec):
    """The depth of the deepest queue (100, 500) of a task queue whose broker is Redis. A queue that does not exist
    is empty."""

    kind: ClassVar[str] = "redis_pending_tasks"
    server: RedisServer
    alternatives: Sequence[RedisServer] | None = None
    """Used in this order while `server` is unreachable, as by clients with several URLs."""
    layout: Literal["celery", "rq", "dramatiq", "lists"]
    queues: Sequence[str] | None = None
    """Names of queues, at most 500."""
    discover: bool | None = None
    """Also queues that are found in Redis (not with the layout "lists")."""
    prefix: str | None = None
    """What all keys begin with: Celery's `global_keyprefix`, RQ's `RQ_KEY_PREFIX` ("rq"), dramatiq's namespace
    ("dramatiq")."""
    priority_steps: Sequence[int] | None = None
    """Celery's `priority_steps` (0, 3, 6, 9)."""
    separator: str | None = None
    """Celery's `sep`, between a queue and its step."""
    unacked_key: str | None = None
    unacked_index_key: str | None = None
    key: str | None = None
    """The key of a queue of the layout "lists": `{queue}` stands for its name."""
    scheduled_key: str | None = None
    """The key of the sorted set of its tasks that are to run later."""
    scheduled_zone: str | None = None
    """The zone as whose local time its scores have UTC: "UTC" where they are seconds since 1970; huey's are by the
    zone of the process. Without it no task is overdue."""
    sorted: bool | None = None
    """Its keys are sorted sets instead of lists."""
    thresholds: Thresholds | None = None
    oldest_seconds: float | None = None
    """Degraded if the oldest task that could run has waited for longer, in seconds (86,400); 0 is no limit. Of the
    layouts "celery" and "lists" no age is known."""
    finished: FinishedTasks | None = None
    """Where the results of finished tasks are in PostgreSQL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisFailedTasks(Spec):
    """Failures (5, 20) within `window_minutes` (60) of a task queue that keeps them in Redis: RQ's registries of
    failed jobs (of which at most 200 of a queue are looked at), dramatiq's dead letters."""

    kind: ClassVar[str] = "redis_failed_tasks"
    server: RedisServer
    alternatives: Sequence[RedisServer] | None = None
    """Used in this order while `server` is unreachable, as by clients with several URLs."""
    layout: Literal["celery", "rq", "dramatiq", "lists"]
    """"rq" or "dramatiq"."""
    queues: Sequence[str] | None = None
    """Names of queues, at most 500."""
    discover: bool | None = None
    """Also queues that are found in Redis."""
    prefix: str | None = None
    """What all keys begin with: RQ's `RQ_KEY_PREFIX` ("rq"), dramatiq's namespace ("dramatiq")."""
    window_minutes: int | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisTaskWorkers(Spec):
    """Live workers of a task queue that keeps them in Redis, against `expected_workers` (1). Degraded, too: tasks
    that a dead worker has left behind, a queue in which tasks wait and to which no worker listens, suspended
    workers. None is an error once none has been seen for 5 minutes by any process that shares the engine's store, if
    none ever was, or if they died: in a deploy there is none for a while."""

    kind: ClassVar[str] = "redis_task_workers"
    server: RedisServer
    alternatives: Sequence[RedisServer] | None = None
    """Used in this order while `server` is unreachable, as by clients with several URLs."""
    layout: Literal["celery", "rq", "dramatiq", "lists"]
    """"rq" or "dramatiq"."""
    queues: Sequence[str] | None = None
    """Names of queues, at most 500."""
    discover: bool | None = None
    """Also queues that are found in Redis."""
    prefix: str | None = None
    """What all keys begin with: RQ's `RQ_KEY_PREFIX` ("rq"), dramatiq's namespace ("dramatiq")."""
    heartbeat_window_minutes: int | None = None
    """How old a heartbeat of dramatiq may be (1); the keys of RQ's workers expire by themselves."""
    expected_workers: int | None = None
    stuck_after_seconds: float | None = None
    """Degraded where a job of RQ has been running for longer. Default: no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AmqpPendingTasks(Spec):
    """The messages that wait in the queues of an AMQP broker (100, 500 in the deepest), and the consumers of each."""

    kind: ClassVar[str] = "amqp_pending_tasks"
    servers: Sequence[AmqpServer]
    """The broker, and those that are used where it does not answer."""
    queues: Sequence[str]
    """The queues of the tasks. One that does not exist has no messages."""
    management_url: str | None = field(default=None, repr=False)
    """`http://user:password@host:15672` of RabbitMQ's management plugin, which also knows the messages that workers
    have taken and not finished. Default user and password: those of the broker."""
    management_tls: Tls | None = None
    """TLS of `management_url`."""
    thresholds: Thresholds | None = None
    """The depth of the deepest queue."""
    oldest_seconds: float | None = None
    """Degraded if the oldest task has waited for longer, in seconds (86,400), as far as the management plugin says;
    0 is no limit."""
    finished: FinishedTasks | None = None
    """Where the results of finished tasks are in PostgreSQL."""
