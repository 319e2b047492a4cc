"""The 22 checks in the order of the report: how critical each is, and how it is run unless configured otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from lifesigns import specs


@dataclass(frozen=True, kw_only=True, slots=True)
class Defaults:
    """How a check is run, `timeout` in seconds (None: `DEFAULT_TIMEOUT`), and the `setting` its target comes from."""

    critical: bool
    setting: str
    timeout: float | None = None
    breaker: specs.Breaker | None = None


_PAID_API = specs.Breaker(failures=3, wait=60)

CATALOGUE: dict[str, Defaults] = {
    "database_connectivity": Defaults(critical=True, setting="DATABASES", timeout=10),
    "postgis_extension": Defaults(critical=True, setting="DATABASES"),
    "postgresql_functions": Defaults(critical=True, setting="DATABASES"),
    "redis_connectivity": Defaults(critical=True, setting="CACHES"),
    "default_cache": Defaults(critical=True, setting="CACHES"),
    "task_queue": Defaults(critical=True, setting="LIFESIGNS['TASK_QUEUE']"),
    "disk_space": Defaults(critical=True, setting="MEDIA_ROOT"),
    "directory_permissions": Defaults(critical=True, setting="MEDIA_ROOT, STATIC_ROOT, LOG_DIR"),
    "database_performance": Defaults(critical=False, setting="DATABASES", timeout=10),
    "connection_pool": Defaults(critical=False, setting="DATABASES"),
    "select2_cache": Defaults(critical=False, setting="CACHES"),
    "memory_usage": Defaults(critical=False, setting="LIFESIGNS['CHECKS']"),
    "cpu_load": Defaults(critical=False, setting="LIFESIGNS['CHECKS']"),
    "channel_layer": Defaults(critical=False, setting="CHANNEL_LAYERS"),
    "mqtt_broker": Defaults(
        critical=False, setting="MQTT_CONFIG", timeout=3, breaker=specs.Breaker(failures=3, wait=30)
    ),
    "aws_ses": Defaults(critical=False, setting="EMAIL_HOST", breaker=_PAID_API),
    "google_maps_api": Defaults(critical=False, setting="GOOGLE_MAP_SECRET_KEY", breaker=_PAID_API),
    "openai_api": Defaults(critical=False, setting="LLM_PROVIDERS", breaker=_PAID_API),
    "anthropic_api": Defaults(critical=False, setting="LLM_PROVIDERS", breaker=_PAID_API),
    "pending_tasks": Defaults(critical=False, setting="LIFESIGNS['TASK_QUEUE']"),
    "failed_tasks": Defaults(critical=False, setting="LIFESIGNS['TASK_QUEUE']"),
    "task_workers": Defaults(critical=False, setting="LIFESIGNS['TASK_QUEUE']"),
}
