"""Which of the 22 checks says by default that another cannot succeed: that of the server that both use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from django.db import DEFAULT_DB_ALIAS

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.checks.migrations import MigrationsApplied, migrated_aliases
from django_lifesigns.checks.redis import RedisClient
from django_lifesigns.checks.servers import cache_database
from django_lifesigns.checks.tasks import TaskQueueTables
from django_lifesigns.targets.messaging import hosts_of
from django_lifesigns.targets.redis import are_on, same_server
from lifesigns import specs

OF_TASK_QUEUE = frozenset(["pending_tasks", "failed_tasks", "task_workers"])


def default_parents(key: str, checks: Mapping[str, Check]) -> tuple[str, ...]:
    """Return the keys of the checks that a check depends on; `checks` are all of the project, by key."""
    check = checks[key]
    if key in OF_TASK_QUEUE and _is_run(checks.get("task_queue")):
        return ("task_queue",) if _is_run(check) else ()
    server = getattr(check, "server", None)
    if server is not None and key != "database_connectivity":
        database = checks.get("database_connectivity")
        return ("database_connectivity",) if server == getattr(database, "server", None) else ()
    if _databases_of(check) == {DEFAULT_DB_ALIAS}:
        return ("database_connectivity",) if _is_run(checks.get("database_connectivity")) else ()
    redis = checks.get("redis_connectivity")
    if isinstance(check, CacheRoundTrip) and _is_on(check.alias, redis):
        return ("redis_connectivity",)
    if isinstance(check, ChannelRoundTrip) and isinstance(redis, specs.Redis) and are_on(hosts_of(check.alias), redis):
        return ("redis_connectivity",)
    return ()


def _databases_of(check: Check) -> set[str | None]:
    """Return the aliases of the databases that a check in Python uses through Django."""
    if isinstance(check, TaskQueueTables):
        return {check.database}
    if isinstance(check, MigrationsApplied):
        return {*(check.databases or migrated_aliases())}
    if isinstance(check, CacheRoundTrip):
        with suppress(Exception):  # whatever a router does; what is wrong is said by the check
            return {cache_database(check.alias)}
    return set()


def _is_on(alias: str, redis: Check | None) -> bool:
    if isinstance(redis, RedisClient):
        return redis.alias == alias
    return isinstance(redis, specs.Redis) and same_server(alias, redis)


def _is_run(check: Check | None) -> bool:
    return check is not None and not isinstance(check, specs.Skipped)
