"""What the engine can check natively, as immutable values: one class for each kind.

Every class is keyword-only. A field left at `None` is left to the engine's default. Percentages run from 0 to 100,
times are in seconds unless the name says otherwise. Secrets are never part of a `repr`. Wrong values are found by
`Engine.register`, which raises `ValueError`.
"""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifesigns.specs.base import Spec as Spec
    from lifesigns.specs.base import Value as Value
    from lifesigns.specs.host import Command as Command
    from lifesigns.specs.host import Cpu as Cpu
    from lifesigns.specs.host import Directories as Directories
    from lifesigns.specs.host import Directory as Directory
    from lifesigns.specs.host import Disk as Disk
    from lifesigns.specs.host import Heartbeat as Heartbeat
    from lifesigns.specs.host import Memory as Memory
    from lifesigns.specs.host import Skipped as Skipped
    from lifesigns.specs.network import Amqp as Amqp
    from lifesigns.specs.network import AmqpServer as AmqpServer
    from lifesigns.specs.network import Anthropic as Anthropic
    from lifesigns.specs.network import Dns as Dns
    from lifesigns.specs.network import GoogleMaps as GoogleMaps
    from lifesigns.specs.network import Grpc as Grpc
    from lifesigns.specs.network import Http as Http
    from lifesigns.specs.network import Mqtt as Mqtt
    from lifesigns.specs.network import OpenAI as OpenAI
    from lifesigns.specs.network import Redis as Redis
    from lifesigns.specs.network import RedisServer as RedisServer
    from lifesigns.specs.network import Smtp as Smtp
    from lifesigns.specs.network import Tcp as Tcp
    from lifesigns.specs.network import TlsCertificate as TlsCertificate
    from lifesigns.specs.postgres import MaterializedViews as MaterializedViews
    from lifesigns.specs.postgres import Postgis as Postgis
    from lifesigns.specs.postgres import Postgres as Postgres
    from lifesigns.specs.postgres import PostgresConnections as PostgresConnections
    from lifesigns.specs.postgres import PostgresFunctions as PostgresFunctions
    from lifesigns.specs.postgres import PostgresServer as PostgresServer
    from lifesigns.specs.postgres import PostgresStatements as PostgresStatements
    from lifesigns.specs.rules import Breaker as Breaker
    from lifesigns.specs.rules import Thresholds as Thresholds
    from lifesigns.specs.tasks import AmqpPendingTasks as AmqpPendingTasks
    from lifesigns.specs.tasks import FailedTasks as FailedTasks
    from lifesigns.specs.tasks import FinishedTasks as FinishedTasks
    from lifesigns.specs.tasks import PendingTasks as PendingTasks
    from lifesigns.specs.tasks import RedisFailedTasks as RedisFailedTasks
    from lifesigns.specs.tasks import RedisPendingTasks as RedisPendingTasks
    from lifesigns.specs.tasks import RedisTaskBroker as RedisTaskBroker
    from lifesigns.specs.tasks import RedisTaskWorkers as RedisTaskWorkers
    from lifesigns.specs.tasks import TaskTables as TaskTables
    from lifesigns.specs.tasks import TaskWorkers as TaskWorkers
    from lifesigns.specs.tls import Tls as Tls

# Loaded when first used: all of them together take 12 ms, more than everything else of this package.
_HOME = {
    "base": ("Spec", "Value"),
    "host": ("Command", "Cpu", "Directories", "Directory", "Disk", "Heartbeat", "Memory", "Skipped"),
    "network": (
        "Amqp",
        "AmqpServer",
        "Anthropic",
        "Dns",
        "GoogleMaps",
        "Grpc",
        "Http",
        "Mqtt",
        "OpenAI",
        "Redis",
        "RedisServer",
        "Smtp",
        "Tcp",
        "TlsCertificate",
    ),
    "postgres": (
        "MaterializedViews",
        "Postgis",
        "Postgres",
        "PostgresConnections",
        "PostgresFunctions",
        "PostgresServer",
        "PostgresStatements",
    ),
    "rules": ("Breaker", "Thresholds"),
    "tasks": (
        "AmqpPendingTasks",
        "FailedTasks",
        "FinishedTasks",
        "PendingTasks",
        "RedisFailedTasks",
        "RedisPendingTasks",
        "RedisTaskBroker",
        "RedisTaskWorkers",
        "TaskTables",
        "TaskWorkers",
    ),
    "tls": ("Tls",),
}
__all__ = [name for names in _HOME.values() for name in names]


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
