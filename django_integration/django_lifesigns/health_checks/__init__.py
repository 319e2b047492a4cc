"""The names of the application that Lifesigns replaces: an existing module only changes its import path."""

from typing import Any

from django_lifesigns.health_checks.background_tasks import (
    check_failed_tasks,
    check_pending_tasks,
    check_task_queue,
    check_task_workers,
)
from django_lifesigns.health_checks.cache import check_default_cache, check_redis_connectivity, check_select2_cache
from django_lifesigns.health_checks.channels import check_channel_layer
from django_lifesigns.health_checks.database import (
    check_connection_pool,
    check_custom_postgresql_functions,
    check_database_connectivity,
    check_database_performance,
    check_postgis_extension,
)
from django_lifesigns.health_checks.external_apis import (
    check_anthropic_api,
    check_aws_ses,
    check_google_maps_api,
    check_openai_api,
)
from django_lifesigns.health_checks.filesystem import check_directory_permissions
from django_lifesigns.health_checks.manager import HealthCheckManager, global_health_manager, register_all_checks
from django_lifesigns.health_checks.mqtt import check_mqtt_broker
from django_lifesigns.health_checks.system import check_cpu_load, check_disk_space, check_memory_usage
from django_lifesigns.health_checks.utils import (
    CircuitBreaker,
    cache_health_check,
    format_check_result,
    timeout_check,
)

__all__ = [
    "CircuitBreaker",
    "HealthCheckManager",
    "cache_health_check",
    "check_anthropic_api",
    "check_aws_ses",
    "check_channel_layer",
    "check_connection_pool",
    "check_cpu_load",
    "check_custom_postgresql_functions",
    "check_database_connectivity",
    "check_database_performance",
    "check_default_cache",
    "check_directory_permissions",
    "check_disk_space",
    "check_failed_tasks",
    "check_google_maps_api",
    "check_memory_usage",
    "check_mqtt_broker",
    "check_openai_api",
    "check_pending_tasks",
    "check_postgis_extension",
    "check_redis_connectivity",
    "check_select2_cache",
    "check_task_queue",
    "check_task_workers",
    "format_check_result",
    "global_health_manager",
    "register_all_checks",
    "timeout_check",
]

# Views, which URLs import from here.
_VIEWS = ("detailed_health_check", "health_check", "liveness_check", "readiness_check")


def __getattr__(name: str) -> Any:
    if name in _VIEWS:
        from django_lifesigns import views

        return getattr(views, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
