"""What the system under test depends on: real servers, what stands in front of each, and its checks."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults import migrations
from tests.services import (
    S3,
    Grpc,
    HttpApis,
    Mosquitto,
    Nsd,
    Postgres,
    Proxy,
    RabbitMq,
    Service,
    Stack,
    certificates,
    mosquitto,
    rabbitmq,
    s3,
)

if TYPE_CHECKING:
    from typing_extensions import Self

POSTGRES_CHECKS = (
    "database_connectivity",
    "postgis_extension",
    "postgresql_functions",
    "task_queue",
    "database_performance",
    "connection_pool",
    "pending_tasks",
    "failed_tasks",
    "task_workers",
)


class Gate(Proxy):
    """A proxy that can be led to another server, and lose the connections there are as a firewall does."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.usual = (host, port)

    def lead_to(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.cut()

    def reset(self) -> None:
        self.target = self.usual
        self.cut()
        self.resume()

    def forget(self) -> None:
        """From now on nothing passes on the connections there are; new ones work."""
        self._call(self._forget)

    def _forget(self) -> None:
        for side in self._sides:
            side.drop_packets()


@dataclass(frozen=True, kw_only=True)
class Dependency:
    name: str
    service: Service
    gate: Gate | None
    # Of the service: it may listen on others, too.
    service_port: int
    # The native ones, then those that do through Python libraries, which know no deadline of their own.
    native: tuple[str, ...]
    python: tuple[str, ...] = ()
    # Of these, the ones that have to notice what the native ones notice: their clients' limits are short.
    noticing: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[str, ...]:
        return (*self.native, *self.python)

    @property
    def port(self) -> int:
        return self.service_port if self.gate is None else self.gate.port

    @property
    def host_name(self) -> str:
        return f"{self.name.lower()}.test"

    @property
    def unaffected(self) -> str:
        """A check of another server."""
        return "redis_connectivity" if self.name == "PostgreSQL" else "database_connectivity"


class Dependencies:
    """A stack of its own, with a gate before each service if wanted."""

    def __init__(self, *, gates: bool) -> None:
        self.stack = Stack()
        self.rabbitmq, self.websockets, self.archive = RabbitMq(), Mosquitto(websockets=True), Postgres()
        # Beside the stack, which is what a project has by default.
        self.own: dict[str, Service] = {
            "WebSocket": self.websockets,
            "AMQP": self.rabbitmq,
            "gRPC": Grpc(),
            "TLS": HttpApis(tls=True),
            "DNS": Nsd(),
            "Storage": S3(),
            "Migrations": self.archive,
        }
        ports: dict[str, int] = {}
        if self.websockets.websockets_port is not None:  # it listens on another port, too
            ports["WebSocket"] = self.websockets.websockets_port
        redis_checks = ("default_cache", "select2_cache", "channel_layer")
        services: dict[str, tuple[Service, tuple[str, ...], tuple[str, ...]]] = {
            "PostgreSQL": (self.stack.postgres, POSTGRES_CHECKS, ()),
            "Redis": (self.stack.redis, ("redis_connectivity",), redis_checks),
            "MQTT": (self.stack.mosquitto, ("mqtt_broker",), ()),
            "WebSocket": (self.websockets, ("mqtt_websocket",), ()),
            "AMQP": (self.rabbitmq, ("amqp",), ()),
            "SMTP": (self.stack.smtp, ("aws_ses",), ()),
            "HTTP": (self.stack.http, ("google_maps_api", "openai_api", "anthropic_api", "shop_api"), ()),
            "gRPC": (self.own["gRPC"], ("orders",), ()),
            "TLS": (self.own["TLS"], ("certificate",), ()),
            "DNS": (self.own["DNS"], ("zone",), ()),
            "Storage": (self.own["Storage"], (), ("storage_uploads",)),
            "Migrations": (self.own["Migrations"], ("database_archive",), ("schema",)),
        }
        self.by_name = {
            name: Dependency(
                name=name,
                service=service,
                gate=Gate(service.host, ports.get(name, service.port)) if gates and name != "DNS" else None,
                service_port=ports.get(name, service.port),
                native=native,
                python=python,
                noticing=python if name in ("Storage", "Migrations") else (),
            )
            for name, (service, native, python) in services.items()
        }
        self._gates = [dependency.gate for dependency in self.by_name.values() if dependency.gate is not None]

    def settings(self, *, names: bool) -> dict[str, Any]:
        """Django settings that lead through the gates, by address or by name."""

        def replace(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: replace(item) for key, item in value.items()}
            if isinstance(value, list):
                return [replace(item) for item in value]
            for dependency in self.by_name.values():
                host = dependency.host_name if names else dependency.service.host
                if value in (dependency.service_port, str(dependency.service_port)):
                    return type(value)(dependency.port)
                if isinstance(value, str):
                    address = f"{dependency.service.host}:{dependency.service_port}"
                    value = value.replace(address, f"{host}:{dependency.port}")
            return value

        settings: dict[str, Any] = replace(self._settings())
        if names:
            for alias, dependency in (("default", "PostgreSQL"), (migrations.ALIAS, "Migrations")):
                settings["DATABASES"][alias]["HOST"] = self.by_name[dependency].host_name
            settings["MQTT_CONFIG"]["BROKER_ADDRESS"] = self.by_name["MQTT"].host_name
            settings["EMAIL_HOST"] = self.by_name["SMTP"].host_name
            named = {"orders": "gRPC", "certificate": "TLS", "mqtt_websocket": "WebSocket", "amqp": "AMQP"}
            for check, dependency in named.items():
                settings["LIFESIGNS"]["CHECKS"][check]["host"] = self.by_name[dependency].host_name
        return settings

    def _settings(self) -> dict[str, Any]:
        """Those of the stack, and checks of the others by their kinds."""
        settings: dict[str, Any] = self.stack.settings()
        grpc, tls, dns = (self.own[name] for name in ("gRPC", "TLS", "DNS"))
        models = f"{self.stack.http.anthropic_base_url}/v1/models"
        checks: dict[str, dict[str, Any]] = {
            "shop_api": {
                "kind": "http",
                "url": models,
                "headers": {"x-api-key": self.stack.http.anthropic_key, "anthropic-version": "2023-06-01"},
                "json": {"/data/0/type": "model"},
            },
            "orders": {"kind": "grpc", "host": grpc.host, "port": grpc.port, "service": "up.Service"},
            "certificate": {
                "kind": "tls_certificate",
                "host": tls.host,
                "port": tls.port,
                "server_name": "localhost",
                "tls": {"ca": str(certificates().ca)},
            },
            "mqtt_websocket": {
                "kind": "mqtt",
                "host": self.websockets.host,
                "port": self.websockets.websockets_port,
                "username": mosquitto.USER,
                "password": mosquitto.PASSWORD,
                "transport": "websockets",
            },
            "amqp": {
                "kind": "amqp",
                "host": self.rabbitmq.host,
                "port": self.rabbitmq.port,
                "username": rabbitmq.USER,
                "password": rabbitmq.PASSWORD,
                "vhost": rabbitmq.VHOST,
                "publish": True,
            },
            "zone": {
                "kind": "dns",
                "name": "www.example.test",
                "server": f"{dns.host}:{dns.port}",
                "expected": ["192.0.2.1"],
            },
            "schema": {"kind": "migrations", "databases": [migrations.ALIAS]},
        }
        settings["DATABASES"][migrations.ALIAS] = migrations.database(self.archive)
        storage = self.own["Storage"]
        settings["STORAGES"] = {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            "uploads": {
                "BACKEND": "tests.faults.storage.ImpatientS3Storage",
                "OPTIONS": {
                    "bucket_name": s3.BUCKET,
                    "endpoint_url": f"http://{storage.host}:{storage.port}",
                    **s3.KEYS,
                },
            },
        }
        settings["LIFESIGNS"]["CHECKS"] |= {name: check | {"critical": False} for name, check in checks.items()}
        return settings

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.stack)
            for service in self.own.values():
                undo.enter_context(service)
            for gate in self._gates:
                undo.enter_context(gate)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()
