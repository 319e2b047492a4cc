"""Celery on Redis: its queues and its broker as the application has them, for native checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django_lifesigns.checks.celery_app import application
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.celery_queues import queue_names
from django_lifesigns.targets.queues.redis_client import server_of
from django_lifesigns.targets.redis_options import PROVIDER
from lifesigns import specs

SENTINEL = "sentinel"
SENTINEL_PORT = 26379
# Of `CELERY_BROKER_TRANSPORT_OPTIONS`, and the fields that they are.
OPTIONS = {
    "global_keyprefix": "prefix",
    "sep": "separator",
    "unacked_key": "unacked_key",
    "unacked_index_key": "unacked_index_key",
}


def checks_of_redis() -> dict[str, Check]:
    """Return the checks that need no worker's answer."""
    app = application()
    server, *alternatives = servers_of(app)
    shared: dict[str, Any] = {"server": server, "alternatives": alternatives or None}
    options = app.conf.broker_transport_options or {}
    fields: dict[str, Any] = {field: options[key] for key, field in OPTIONS.items() if options.get(key)}
    if steps := options.get("priority_steps"):
        fields["priority_steps"] = [int(step) for step in steps]
    queues = tuple(queue_names())
    return {
        "task_queue": specs.RedisTaskBroker(backend="celery (redis)", **shared),
        "pending_tasks": specs.RedisPendingTasks(layout="celery", queues=queues, discover=True, **fields, **shared),
    }


def servers_of(app: Any) -> list[specs.RedisServer]:
    """Return the server of each URL, in the order in which workers try them; sentinels together name one server."""
    given = app.conf.broker_read_url or app.conf.broker_url
    urls = [url for one in ([given] if isinstance(given, str) else given) for url in one.split(";") if url]
    sentinels = [url for url in urls if urlsplit(url).scheme == SENTINEL]
    if sentinels and sentinels[0] == urls[0]:
        return [_server_by_sentinels(app, sentinels)]
    return [_server(app, url) for url in urls]


def _server(app: Any, url: str) -> specs.RedisServer:
    connection = app.connection_for_read(url)
    options = _options(connection)
    host = str(connection.hostname or "")
    if "://" in host:  # redis+socket:///path?virtual_host=1
        parts = urlsplit(host)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        options |= {"path": parts.path, "db": _database(query.get("virtual_host") or connection.virtual_host)}
        options |= {key: unquote(getattr(parts, key) or "") for key in ("username", "password")}
        return server_of({**options, PROVIDER: query.get(PROVIDER)})
    options |= {"host": host, "port": connection.port}
    return server_of(options, encrypted=isinstance(connection.ssl, Mapping))


def _server_by_sentinels(app: Any, urls: Iterable[str]) -> specs.RedisServer:
    transport = app.conf.broker_transport_options or {}
    if not transport.get("master_name"):
        raise WrongTargetError("CELERY_BROKER_TRANSPORT_OPTIONS needs 'master_name', the name that the sentinels know")
    connections = [app.connection_for_read(url) for url in urls]
    options = _options(connections[0])
    options["sentinels"] = [(one.hostname, one.port or SENTINEL_PORT) for one in connections]
    options |= {"sentinel_kwargs": transport.get("sentinel_kwargs"), "master": transport["master_name"]}
    return server_of(options, encrypted=isinstance(connections[0].ssl, Mapping))


def _options(connection: Any) -> dict[str, Any]:
    """Return a connection's login in redis-py's words; it is never opened."""
    options: dict[str, Any] = dict(connection.ssl) if isinstance(connection.ssl, Mapping) else {}
    return options | {
        "username": connection.userid,
        "password": connection.password,
        "db": _database(connection.virtual_host),
        PROVIDER: getattr(connection, PROVIDER, None),
    }


def _database(name: object) -> int:
    text = str(name or "").strip("/")
    if text and not text.isdecimal():
        raise WrongTargetError("CELERY_BROKER_URL must end with the number of a database, such as /0")
    return int(text or 0)
