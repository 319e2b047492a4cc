"""What the engine can check natively, as immutable values: one class for each kind, named and typed as in src/spec.rs.

Every class is keyword-only. A field left at `None` is left to the engine's default. Percentages run from 0 to 100,
times are in seconds unless the name says otherwise. Secrets are never part of a `repr`. Wrong values are found by
`Engine.register`, which raises `ValueError`.
"""

from lifesigns.specs.base import Spec, Value
from lifesigns.specs.host import Cpu, Directories, Directory, Disk, Heartbeat, Memory, Skipped
from lifesigns.specs.network import Anthropic, GoogleMaps, Http, Mqtt, OpenAI, Redis, Smtp, Tcp
from lifesigns.specs.postgres import (
    MaterializedViews,
    Postgis,
    Postgres,
    PostgresConnections,
    PostgresFunctions,
    PostgresServer,
    PostgresStatements,
)
from lifesigns.specs.rules import Breaker, Thresholds
from lifesigns.specs.tasks import FailedTasks, PendingTasks, TaskTables, TaskWorkers
from lifesigns.specs.tls import Tls

__all__ = [
    "Anthropic",
    "Breaker",
    "Cpu",
    "Directories",
    "Directory",
    "Disk",
    "FailedTasks",
    "GoogleMaps",
    "Heartbeat",
    "Http",
    "MaterializedViews",
    "Memory",
    "Mqtt",
    "OpenAI",
    "PendingTasks",
    "Postgis",
    "Postgres",
    "PostgresConnections",
    "PostgresFunctions",
    "PostgresServer",
    "PostgresStatements",
    "Redis",
    "Skipped",
    "Smtp",
    "Spec",
    "TaskTables",
    "TaskWorkers",
    "Tcp",
    "Thresholds",
    "Tls",
    "Value",
]
