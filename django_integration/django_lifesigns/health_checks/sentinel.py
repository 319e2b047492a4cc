"""The checks of Redis Sentinel as functions: its nodes, its quorum, the master and the replicas that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings

from django_lifesigns.health_checks.guarded import guarded
from django_lifesigns.health_checks.utils import format_check_result
from django_lifesigns.targets.context import NoTargetError

# For each node, of the 5 s that a check has at least.
NODE_SECONDS = 1.0
MASTER = {"name": "name", "ip": "ip", "port": "port", "status": "flags", "num_slaves": "num-slaves"}
REPLICA = {
    "name": "name",
    "ip": "ip",
    "port": "port",
    "status": "flags",
    "master_link_down_time": "master-link-down-time",
    "replica_priority": "slave-priority",
    "replica_repl_offset": "slave-repl-offset",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the nodes said, and of the first that knows the master: the master and its replicas."""

    nodes: list[dict[str, Any]]
    master: Mapping[str, Any] | None
    replicas: list[Mapping[str, Any]]

    @property
    def connected(self) -> int:
        return sum(node["status"] == "connected" for node in self.nodes)

    @property
    def quorum(self) -> int:
        """How many nodes have to agree that the master is down; a majority where no node says."""
        return int((self.master or {}).get("quorum") or len(self.nodes) // 2 + 1)

    @property
    def has_quorum(self) -> bool:
        # To elect the leader of a failover takes a majority as well.
        return self.connected >= max(self.quorum, len(self.nodes) // 2 + 1)

    @property
    def master_is_up(self) -> bool:
        return self.master is not None and "down" not in str(self.master.get("flags", ""))

    @property
    def healthy_replicas(self) -> int:
        return sum("down" not in str(replica.get("flags", "")) for replica in self.replicas)

    @property
    def counted(self) -> str:
        return f"{self.connected} of {len(self.nodes)} nodes"


@guarded(timeout_seconds=15)
def check_sentinel_cluster_health() -> dict[str, Any]:
    """Check that enough Sentinel nodes respond, that they know a master, and that it has replicas."""
    answers = _query_sentinels()
    if not answers.has_quorum:
        status, message = "error", f"Sentinel has no quorum: {answers.counted}"
    elif not answers.master_is_up:
        status, message = "error", "Sentinel knows no master that is up"
    elif not answers.replicas:
        status, message = "degraded", "The master has no replica"
    else:
        status, message = "healthy", f"Sentinel: {answers.counted}, {len(answers.replicas)} replicas"
    details = {
        "total_sentinels": len(answers.nodes),
        "connected_sentinels": answers.connected,
        "master_info": answers.master and _named(answers.master, MASTER),
        "replica_count": len(answers.replicas),
        "quorum_status": "healthy" if answers.has_quorum else "insufficient",
        "failover_capability": "available" if answers.has_quorum else "unavailable",
        "sentinel_nodes": answers.nodes,
    }
    return format_check_result(status, message, details)


@guarded(timeout_seconds=10)
def check_master_replica_status() -> dict[str, Any]:
    """Check that Sentinel holds neither the master nor a replica for down."""
    answers = _query_sentinels()
    down = len(answers.replicas) - answers.healthy_replicas
    if not answers.master_is_up:
        status, message = "error", "Sentinel knows no master that is up"
    elif down:
        status, message = "degraded", f"{down} of {len(answers.replicas)} replicas are down"
    else:
        status, message = "healthy", f"The master and {len(answers.replicas)} replicas are up"
    details = {
        "master": answers.master and _named(answers.master, MASTER),
        "replicas": [_named(replica, REPLICA) for replica in answers.replicas],
    }
    return format_check_result(status, message, details)


@guarded(timeout_seconds=5)
def check_sentinel_quorum() -> dict[str, Any]:
    """Check that enough Sentinel nodes respond to decide on a failover."""
    answers = _query_sentinels()
    details = {
        "configured_quorum": answers.quorum,
        "total_sentinels": len(answers.nodes),
        "available_sentinels": answers.connected,
        "quorum_met": answers.has_quorum,
        "sentinel_responses": answers.nodes,
    }
    if answers.has_quorum:
        return format_check_result("healthy", f"Sentinel has a quorum: {answers.counted}", details)
    return format_check_result("error", f"Sentinel has no quorum: {answers.counted}", details)


@guarded(timeout_seconds=10)
def check_sentinel_failover_capability() -> dict[str, Any]:
    """Check that Sentinel could fail over now. Tries nothing."""
    answers = _query_sentinels()
    details = {
        "can_discover_master": answers.master_is_up,
        "can_discover_replicas": bool(answers.replicas),
        "sufficient_replicas": answers.healthy_replicas > 0,
        "quorum_available": answers.has_quorum,
    }
    details["failover_ready"] = all(details.values())
    if not answers.has_quorum:
        return format_check_result("error", f"Sentinel has no quorum: {answers.counted}", details)
    if not details["failover_ready"]:
        return format_check_result("degraded", "There is no replica to fail over to, or no master", details)
    return format_check_result("healthy", "Sentinel could fail over", details)


def _query_sentinels() -> Answers:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    service, addresses, options = _sentinels()
    # A node that refuses is down: redis-py would try it three times more, with pauses.
    options = {"retry": Retry(NoBackoff(), 0), **options}
    nodes: list[dict[str, Any]] = []
    master: Mapping[str, Any] | None = None
    replicas: list[Mapping[str, Any]] = []
    for number, (host, port) in enumerate(addresses, 1):
        node = {"node": number, "host": host, "port": int(port), "status": "connected"}
        try:
            with closing(redis.Redis(host=host, port=int(port), **options)) as client:
                client.ping()
                if master is None:
                    replicas = list(client.sentinel_slaves(service))
                    master = cast("Mapping[str, Any]", client.sentinel_master(service))
        except redis.ResponseError:  # it responds, and does not know the master
            pass
        except (redis.RedisError, OSError) as error:
            node |= {"status": "failed", "error": type(error).__name__}
        nodes.append(node)
    return Answers(nodes, master, replicas)


def _sentinels() -> tuple[str, list[tuple[str, Any]], dict[str, Any]]:
    """Return the name of the master, the nodes, and the client's options for them, of the first cache that has any."""
    for cache in settings.CACHES.values():
        options = cache.get("OPTIONS") or {}
        nodes = options.get("SENTINELS") or (options.get("CONNECTION_POOL_KWARGS") or {}).get("sentinels")
        if nodes:
            location = cache.get("LOCATION") or ""
            url = location if isinstance(location, str) else location[0]
            limits = {"socket_timeout": NODE_SECONDS, "socket_connect_timeout": NODE_SECONDS}
            return urlsplit(url).hostname or "", list(nodes), {**limits, **(options.get("SENTINEL_KWARGS") or {})}
    raise NoTargetError("set SENTINELS in the OPTIONS of a cache to check Redis Sentinel")


def _named(state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {shown: state.get(key) for shown, key in names.items()}
