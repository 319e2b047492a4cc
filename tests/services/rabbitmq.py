"""RabbitMQ with users, virtual hosts, the management plugin, and TLS where wanted."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.services import workspace
from tests.services.base import Service, free_port, program
from tests.services.certificates import certificates

USER = "app"
# What a URL must quote is in the password on purpose.
PASSWORD = "app:amqp/p@ss%46?#"
VHOST = "shop/eu"
# Knows the virtual host, and may neither read nor write anything in it.
STRANGER = "stranger"

BIN = "/usr/lib/rabbitmq/bin"
# The daemon that Erlang's nodes find each other by: else the first node starts one that outlives it.
WITH_EPMD = 'epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" & exec "$0"'
API_SECONDS = 5


class RabbitMq(Service):
    """The user `app` may do everything in the virtual hosts `/` and `shop/eu`."""

    name = "rabbitmq"
    start_seconds = 90.0  # 5 on a free core

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.tls_port = free_port() if tls else None
        self.management_port = free_port()
        self._epmd_port, self._distribution_port = free_port(), free_port()

    def prepare(self) -> None:
        definitions = self.directory / "definitions.json"
        definitions.write_text(json.dumps(self._definitions()))
        lines = [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            f"management.tcp.ip = {self.host}",
            f"management.tcp.port = {self.management_port}",
            f"load_definitions = {definitions}",
            "log.console = true",
            "log.console.level = warning",
            "log.file = false",
            "vm_memory_high_watermark.absolute = 512MB",
            "disk_free_limit.absolute = 1MB",
            "collect_statistics_interval = 1000",
        ]
        if self.tls_port is not None:
            lines += [
                f"listeners.ssl.1 = {self.host}:{self.tls_port}",
                f"ssl_options.cacertfile = {certificates().ca}",
                f"ssl_options.certfile = {certificates().server.certificate}",
                f"ssl_options.keyfile = {certificates().server.key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = false",
                # With a client certificate its common name is the user.
                "auth_mechanisms.1 = PLAIN",
                "auth_mechanisms.2 = EXTERNAL",
                "ssl_cert_login_from = common_name",
            ]
        self._configuration.write_text("\n".join(lines) + "\n")
        self._plugins.write_text("[rabbitmq_management,rabbitmq_auth_mechanism_ssl].\n")

    def arguments(self) -> list[str]:
        return ["/bin/sh", "-c", WITH_EPMD, program("rabbitmq-server", BIN)]

    def environment(self) -> dict[str, str]:
        return {
            **workspace.environment(),
            "HOME": str(self.directory),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"rabbit{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": str(self._configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._plugins),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "logs"),
            "RABBITMQ_PID_FILE": str(self.directory / "rabbit.pid"),
            # One core, and no spinning: other servers and the tests share the machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def stop(self) -> None:
        """Kill it: to end in order takes 6 s, and what is durable is kept all the same."""
        self.kill()

    def ready(self) -> bool:
        with suppress(OSError):
            return super().ready() and bool(self.api("overview"))
        return False

    def api(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Call the management API: GET, or PUT of a JSON body."""
        url = f"{self.management_url}/api/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method or ("GET" if body is None else "PUT"))
        request.add_header("Content-Type", "application/json")
        manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
        manager.add_password(None, url, USER, PASSWORD, is_authenticated=True)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        with opener.open(request, timeout=API_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl (2 s)."""
        return self.execute(program("rabbitmqctl", BIN), *arguments, environment=self.environment())

    def declare(self, queue: str, vhost: str = VHOST, messages: int = 0) -> None:
        """Make a queue, and put messages into it."""
        self.api(f"queues/{quote(vhost, safe='')}/{queue}", {"durable": True})
        for _ in range(messages):
            message = {"properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"}
            self.api(f"exchanges/{quote(vhost, safe='')}/amq.default/publish", message, "POST")

    def new_vhost(self) -> str:
        """Make a virtual host that is empty, and return its name."""
        name = uuid4().hex
        self.api(f"vhosts/{name}", {})
        self.api(f"permissions/{name}/{USER}", {"configure": ".*", "write": ".*", "read": ".*"})
        return name

    @property
    def management_url(self) -> str:
        return f"http://{self.host}:{self.management_port}"

    def url(self, vhost: str = VHOST, *, user: str = USER, password: str = PASSWORD, tls: bool = False) -> str:
        """The URL of a virtual host, by TLS if wanted."""
        scheme, port = ("amqps", self.tls_port) if tls else ("amqp", self.port)
        return (
            f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{self.host}:{port}/{quote(vhost, safe='')}"
        )

    @property
    def _configuration(self) -> Path:
        return self.directory / "rabbitmq.conf"

    @property
    def _plugins(self) -> Path:
        return self.directory / "enabled_plugins"

    def _definitions(self) -> dict[str, object]:
        everything, nothing = (dict.fromkeys(("configure", "write", "read"), rights) for rights in (".*", "^$"))
        return {
            "users": [
                {"name": USER, "password": PASSWORD, "tags": "administrator"},
                {"name": STRANGER, "password": PASSWORD, "tags": ""},
            ],
            "vhosts": [{"name": "/"}, {"name": VHOST}, {"name": "closed"}],
            "permissions": [
                {"user": USER, "vhost": "/", **everything},
                {"user": USER, "vhost": VHOST, **everything},
                {"user": STRANGER, "vhost": VHOST, **nothing},
            ],
        }
