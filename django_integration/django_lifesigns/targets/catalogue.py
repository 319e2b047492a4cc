"""The 22 checks in the order of the report: how each is run by default, and how its target is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets import apis, caches, databases, directories, mail, messaging, system, tasks
from django_lifesigns.targets.context import DiscoveryContext
from lifesigns import specs


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One row. Times are in seconds; None is `DEFAULT_TIMEOUT` and `DEFAULT_TTL`."""

    find: Callable[[DiscoveryContext], Check]
    # What names the target.
    setting: str
    critical: bool = False
    timeout: float | None = None
    ttl: float | None = None
    breaker: specs.Breaker | None = None
    # Where its answer is the same from every host, also as a check in Python; None: by the kind of the check.
    scope: str | None = None
    # The metric whose thresholds, saved in the admin, govern the check.
    metric: str | None = None

    def run(self) -> dict[str, object]:
        """Return how it is run, as keywords of `Engine.register`, but for whether it is critical."""
        return {"timeout": self.timeout, "ttl": self.ttl, "breaker": self.breaker, "scope": self.scope}


_DATABASES, _CACHES, _TASKS = "DATABASES", "CACHES", "LIFESIGNS['TASK_QUEUE']"
PAID_API = specs.Breaker(failures=3, wait=60)

CATALOGUE: dict[str, Target] = {
    "database_connectivity": Target(find=databases.connectivity, setting=_DATABASES, critical=True, timeout=10),
    "postgis_extension": Target(find=databases.postgis, setting=_DATABASES, critical=True),
    "postgresql_functions": Target(find=databases.functions, setting=_DATABASES, critical=True),
    "redis_connectivity": Target(find=caches.redis, setting=_CACHES, critical=True),
    "default_cache": Target(find=caches.default_cache, setting=_CACHES, critical=True),
    "task_queue": Target(find=tasks.task_queue, setting=_TASKS, critical=True),
    "disk_space": Target(find=system.disk_space, setting="MEDIA_ROOT", critical=True, metric="disk_usage"),
    "directory_permissions": Target(
        find=directories.directory_permissions, setting="STORAGES, MEDIA_ROOT, STATIC_ROOT, LOG_DIR", critical=True
    ),
    "database_performance": Target(find=databases.statements, setting=_DATABASES, timeout=10),
    "connection_pool": Target(find=databases.pool, setting=_DATABASES),
    "select2_cache": Target(find=caches.select2_cache, setting=_CACHES),
    "memory_usage": Target(find=system.memory_usage, setting="LIFESIGNS['CHECKS']", metric="memory_usage"),
    "cpu_load": Target(find=system.cpu_load, setting="LIFESIGNS['CHECKS']", metric="cpu_load"),
    "channel_layer": Target(find=messaging.channel_layer, setting="CHANNEL_LAYERS"),
    "mqtt_broker": Target(
        find=messaging.mqtt_broker, setting="MQTT_CONFIG", timeout=3, breaker=specs.Breaker(failures=3, wait=30)
    ),
    "aws_ses": Target(find=mail.aws_ses, setting="EMAIL_HOST", ttl=300, breaker=PAID_API),
    "google_maps_api": Target(find=apis.google_maps, setting="GOOGLE_MAP_SECRET_KEY", ttl=900, breaker=PAID_API),
    "openai_api": Target(find=apis.openai, setting="LLM_PROVIDERS", ttl=120, breaker=PAID_API),
    "anthropic_api": Target(find=apis.anthropic, setting="LLM_PROVIDERS", ttl=120, breaker=PAID_API),
    "pending_tasks": Target(find=tasks.pending_tasks, setting=_TASKS, scope="fleet", metric="queue_depth"),
    "failed_tasks": Target(find=tasks.failed_tasks, setting=_TASKS, scope="fleet"),
    "task_workers": Target(find=tasks.task_workers, setting=_TASKS, scope="fleet"),
}
