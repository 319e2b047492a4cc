"""RQ, with the queues of django-rq: jobs, failures and workers are in Redis."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.queues.redis_client import server_at, server_of
from django_lifesigns.targets.queues.task_queue import TaskQueue
from lifesigns import specs

CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")
# Of django-rq's settings, and redis-py's words for them.
OPTIONS = {
    "HOST": "host",
    "PORT": "port",
    "DB": "db",
    "USERNAME": "username",
    "PASSWORD": "password",
    "SSL_CERT_REQS": "ssl_cert_reqs",
    "UNIX_SOCKET_PATH": "path",
    "SENTINELS": "sentinels",
    "SENTINEL_KWARGS": "sentinel_kwargs",
    "MASTER_NAME": "master",
}


def rq() -> TaskQueue:
    """Return the queues of `RQ_QUEUES` on the server of `default`, or of the first; a note names the others."""
    queues = getattr(settings, "RQ_QUEUES", None)
    if not isinstance(queues, Mapping) or not all(isinstance(queue, Mapping) for queue in queues.values()):
        raise WrongTargetError("RQ_QUEUES must be a dict of dicts, one for each queue")
    waiting = {name: queue for name, queue in queues.items() if queue.get("ASYNC", True)}
    if not waiting:
        return TaskQueue(backend="rq", unknown=dict.fromkeys(CHECKS, "RQ runs jobs at once (ASYNC in RQ_QUEUES)"))
    servers = {name: server_of_queue(queue, f"RQ_QUEUES[{name!r}]") for name, queue in waiting.items()}
    server = servers.get("default") or next(iter(servers.values()))
    names = tuple(name for name, other in servers.items() if other == server)
    elsewhere = sorted(servers.keys() - set(names))
    note = f"RQ_QUEUES: {', '.join(elsewhere)} cannot be measured, being on another server than {', '.join(names)}."
    shared: dict[str, Any] = {"server": server, "layout": "rq", "queues": names, "prefix": _prefix()}
    return TaskQueue(
        backend="rq",
        checks={
            "task_queue": specs.RedisTaskBroker(server=server, backend="rq"),
            "pending_tasks": specs.RedisPendingTasks(**shared),
            "failed_tasks": specs.RedisFailedTasks(**shared),
            "task_workers": specs.RedisTaskWorkers(**shared),
        },
        notes=(note,) if elsewhere else (),
    )


def server_of_queue(queue: Mapping[str, Any], where: str) -> specs.RedisServer:
    """Return the server of one entry of `RQ_QUEUES`, as django-rq reads it."""
    if alias := queue.get("USE_REDIS_CACHE"):
        return server_at(settings.CACHES[alias], f"CACHES[{alias!r}]")
    if url := queue.get("URL"):
        # A database in the URL comes before DB, as in redis-py.
        options = {"db": queue.get("DB"), "ssl_cert_reqs": queue.get("SSL_CERT_REQS", "required")}
        return server_at({"LOCATION": [url], "OPTIONS": options}, where)
    options = {word: queue[key] for key, word in OPTIONS.items() if key in queue}
    options |= queue.get("CONNECTION_KWARGS" if "SENTINELS" in queue else "REDIS_CLIENT_KWARGS") or {}
    return server_of(options, encrypted=bool(queue.get("SSL") or options.get("ssl")))


def _prefix() -> str | None:
    """Return what RQ's keys begin with, where the environment names it (RQ 2.11 and later)."""
    return os.environ.get("RQ_KEY_PREFIX") or None
