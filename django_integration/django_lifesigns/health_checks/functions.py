"""The 22 functions by the names of their checks."""

from __future__ import annotations

from collections.abc import Callable
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
from django_lifesigns.health_checks.mqtt import check_mqtt_broker
from django_lifesigns.health_checks.system import check_cpu_load, check_disk_space, check_memory_usage

FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "database_connectivity": check_database_connectivity,
    "postgis_extension": check_postgis_extension,
    "postgresql_functions": check_custom_postgresql_functions,
    "redis_connectivity": check_redis_connectivity,
    "default_cache": check_default_cache,
    "task_queue": check_task_queue,
    "disk_space": check_disk_space,
    "directory_permissions": check_directory_permissions,
    "database_performance": check_database_performance,
    "connection_pool": check_connection_pool,
    "select2_cache": check_select2_cache,
    "memory_usage": check_memory_usage,
    "cpu_load": check_cpu_load,
    "channel_layer": check_channel_layer,
    "mqtt_broker": check_mqtt_broker,
    "aws_ses": check_aws_ses,
    "google_maps_api": check_google_maps_api,
    "openai_api": check_openai_api,
    "anthropic_api": check_anthropic_api,
    "pending_tasks": check_pending_tasks,
    "failed_tasks": check_failed_tasks,
    "task_workers": check_task_workers,
}
