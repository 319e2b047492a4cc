"""What the functions of the replaced application return, against real servers: units, keys, statuses in either case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.conftest import NewDatabase
from tests.django.projects import run_json

TASKS = """
CREATE TABLE background_task (
    id integer PRIMARY KEY, queue_name varchar(50), status varchar(20), updated_at timestamp NULL
);
CREATE TABLE background_task_worker (worker_id varchar(50), last_heartbeat timestamp NULL);
"""
COUNTS = """
import json
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from django_lifesigns.health_checks import check_failed_tasks, check_pending_tasks, check_task_queue
now = connection.ops.adapt_datetimefield_value(timezone.now())
rows = [(number, "mail", "PENDING", now) for number in range(150)]
rows += [(number, "mail", "pending", now) for number in range(150, 200)]
rows += [(number, "mail", ("FAILED", "Failed")[number % 2], now) for number in range(200, 210)]
with connection.cursor() as cursor:
    cursor.executemany("INSERT INTO background_task VALUES (%s, %s, %s, %s)", rows)
functions = check_task_queue, check_pending_tasks, check_failed_tasks
print(json.dumps([function() for function in functions]))
"""


def test_tasks__statuses_in_either_case(new_database: NewDatabase, tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": new_database(TASKS)}}
    queue, pending, failed = run_json(tmp_path, settings, COUNTS)
    assert (queue["status"], queue["details"]["task_tables_available"]) == ("healthy", True)
    assert (pending["status"], pending["details"]["total_pending"]) == ("degraded", 200)
    assert (failed["status"], failed["details"]["failed_count_last_hour"]) == ("degraded", 10)


DATABASE = """
import json
from django_lifesigns.health_checks import check_connection_pool, check_database_performance, global_health_manager
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.service import HealthCheckService
print(json.dumps({
    "pool": check_connection_pool(),
    "performance": check_database_performance(),
    "report": global_health_manager.run_all_checks()["checks"]["connection_pool"],
    "service": HealthCheckService().run_all_checks(False, False)["checks"]["connection_pool"],
    "engine": get_engine().check("connection_pool"),
}))
"""


@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
def test_database__shares_are_fractions(new_database: NewDatabase, tmp_path: Path) -> None:
    found = run_json(tmp_path, {"DATABASES": {"default": new_database()}}, DATABASE)
    for key in ("pool", "report", "service", "engine"):
        details = found[key]["details"]
        share = details["total_connections"] / details["max_connections"]
        assert details["utilization"] == pytest.approx(share, abs=0.001), key
        assert details["utilization_percent"] == pytest.approx(100 * share, abs=0.1), key
    performance = found["performance"]
    if performance["status"] != "skipped":
        details = performance["details"]
        share = details["slow_queries"] / details["total_queries"]
        assert details["slow_query_ratio"] == pytest.approx(share, abs=0.001)


REFUSED = """
import json
from django_lifesigns import health_checks
names = [name for name in health_checks.__all__ if name.startswith("check_")]
print(json.dumps({name: getattr(health_checks, name)() for name in names}))
"""


def test_errors__have_details(tmp_path: Path) -> None:
    refused = {"HOST": "127.0.0.1", "PORT": "1", "NAME": "app", "USER": "app", "PASSWORD": "hunter2"}
    settings: dict[str, Any] = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", **refused}},
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
        },
        "MQTT_CONFIG": {"BROKER_ADDRESS": "127.0.0.1", "BROKER_PORT": 1},
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": 1,
    }
    found = run_json(tmp_path, settings, REFUSED)
    errors = {name: result for name, result in found.items() if result["status"] == "error"}
    assert errors.keys() >= {
        "check_database_connectivity",
        "check_connection_pool",
        "check_redis_connectivity",
        "check_default_cache",
        "check_mqtt_broker",
    }
    for name, result in errors.items():
        assert result["details"]["error_type"], name
        assert result["details"]["connection_status"] == "failed", name
    assert "hunter2" not in str(found)
