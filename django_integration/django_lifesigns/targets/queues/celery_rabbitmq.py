"""From Celery's settings to the checks of its broker where that is RabbitMQ."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from django.conf import settings

from django_lifesigns.checks.celery_rabbitmq import CeleryRabbitWorkers
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.celery_queues import queue_names
from lifesigns import specs

TRANSPORTS = frozenset(["amqp", "amqps", "pyamqp", "librabbitmq"])
BROKER = "CELERY_BROKER_URL"
LOGINS: dict[str, Literal["plain", "external"]] = {"PLAIN": "plain", "AMQPLAIN": "plain", "EXTERNAL": "external"}


def checks_of_rabbitmq(urls: list[str], *, remote_control: bool, schedules: bool) -> dict[str, Check]:
    """Return the checks of the brokers at these URLs, of which Celery uses one."""
    servers = [_server(url) for url in urls if url.partition("://")[0].lower() in TRANSPORTS]
    queues = tuple(queue_names())
    first, *others = servers
    broker = specs.Amqp(
        **{name: getattr(first, name) for name in first.__dataclass_fields__ if name != "kind"},
        fallbacks=others or None,
        publish=True,
        task_queue="celery (amqp)",
    )
    return {
        "task_queue": broker,
        "pending_tasks": specs.AmqpPendingTasks(servers=servers, queues=queues),
        "task_workers": CeleryRabbitWorkers(queues=queues, remote_control=remote_control, schedules=schedules),
    }


def _server(url: str) -> specs.AmqpServer:
    """Read a URL as kombu does: what it leaves out is that of a broker on this host."""
    try:
        scheme, _, rest = url.partition("://")
        parts = urlsplit(f"http://{rest}")
        port = parts.port
    except ValueError as error:  # its text may hold the password
        raise WrongTargetError(f"{BROKER} is no URL of a broker: amqp://user:password@host:port/vhost") from error
    tls = _tls(encrypted=scheme == "amqps", host=parts.hostname)
    method = str(getattr(settings, "CELERY_BROKER_LOGIN_METHOD", None) or "PLAIN").upper()
    if method not in LOGINS:
        raise WrongTargetError(f"CELERY_BROKER_LOGIN_METHOD must be one of {', '.join(LOGINS)}")
    return specs.AmqpServer(
        host=unquote(parts.hostname or "localhost"),
        port=port,
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        vhost=unquote(parts.path.removeprefix("/")) or None,
        tls=tls,
        login=LOGINS[method] if LOGINS[method] != "plain" else None,
    )


def _tls(*, encrypted: bool, host: str | None) -> specs.Tls | None:
    given: Any = getattr(settings, "CELERY_BROKER_USE_SSL", None)
    if not encrypted and not given:
        return None
    options: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    verify: Literal["full", "chain", "nothing"] = "chain"
    if options.get("cert_reqs") in (ssl.CERT_NONE, "CERT_NONE", "none"):
        verify = "nothing"
    elif "server_hostname" in options and options["server_hostname"] in (None, host):
        # py-amqp compares names only where it is given one; None is the broker's.
        verify = "full"
    ca, cert, key = (options.get(name) for name in ("ca_certs", "certfile", "keyfile"))
    return specs.Tls(verify=verify, ca=ca, cert=cert, key=key)
