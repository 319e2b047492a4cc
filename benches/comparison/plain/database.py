"""The nine checks of PostgreSQL with psycopg: each thread of the pool keeps one connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

FUNCTIONS = ["cleanup_expired_sessions", "cleanup_select2_cache", "refresh_select2_materialized_views"]
TABLES = ["background_task", "background_task_worker"]
ACTIVITY = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       count(*), count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle'),
       max(extract(epoch FROM clock_timestamp() - state_change)) FILTER (WHERE state LIKE 'idle in transaction%'),
       max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (WHERE state = 'active')
FROM pg_stat_activity WHERE datname = current_database()
"""
STATEMENTS = """
SELECT count(*), count(*) FILTER (WHERE mean_exec_time > 100) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SLOWEST = """
SELECT left(query, 200), calls, mean_exec_time FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY mean_exec_time DESC LIMIT 5
"""
PENDING = "SELECT queue_name, count(*), min(updated_at) FROM background_task WHERE status = 'pending' GROUP BY 1"
FAILED = """
SELECT count(*) FROM background_task WHERE status = 'failed' AND updated_at >= now() - interval '1 hour'
"""
ALIVE = "SELECT count(*) FROM background_task_worker WHERE last_heartbeat >= now() - interval '5 minutes'"


def result(status: str, message: str, **details: Any) -> dict[str, Any]:
    return {"status": status, "message": message, "details": details}


def level(value: float, degraded_above: float, error_above: float) -> str:
    return "error" if value > error_above else "degraded" if value > degraded_above else "healthy"


def address(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the database, as psycopg takes it."""
    database = settings["DATABASES"]["default"]
    return {
        "host": database["HOST"],
        "port": database["PORT"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "dbname": database["NAME"],
        "connect_timeout": 5,
    }


class Database:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.address = address(settings)
        self.local = threading.local()

    def checks(self) -> dict[str, Callable[[], dict[str, Any]]]:
        return {
            "database_connectivity": self.connectivity,
            "postgis_extension": self.postgis,
            "postgresql_functions": self.functions,
            "task_queue": self.task_queue,
            "database_performance": self.performance,
            "connection_pool": self.connections,
            "pending_tasks": self.pending,
            "failed_tasks": self.failed,
            "task_workers": self.workers,
        }

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        connection: psycopg.Connection[tuple[Any, ...]] | None = getattr(self.local, "connection", None)
        if connection is None or connection.closed:
            connection = self.local.connection = psycopg.connect(autocommit=True, **self.address)
        return connection.execute(sql.encode(), parameters or None).fetchall()

    def connectivity(self) -> dict[str, Any]:
        ((one, version),) = self.query("SELECT 1, current_setting('server_version')")
        ((sessions,),) = self.query("SELECT count(*) FROM django_session")
        status = "healthy" if one == 1 else "error"
        return result(status, "connected", database_version=version, session_count=sessions)

    def postgis(self) -> dict[str, Any]:
        if not self.query("SELECT 1 FROM pg_extension WHERE extname = 'postgis'"):
            return result("error", "not installed", postgis_installed=False)
        ((version, point),) = self.query("SELECT PostGIS_version(), ST_AsText(ST_MakePoint(0, 0))")
        status = "healthy" if point == "POINT(0 0)" else "error"
        return result(status, point, postgis_installed=True, postgis_version=version)

    def functions(self) -> dict[str, Any]:
        rows = self.query("SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY(%s)", FUNCTIONS)
        found = {name for (name,) in rows}
        functions = {name: "available" if name in found else "missing" for name in FUNCTIONS}
        return result("healthy" if len(found) == len(FUNCTIONS) else "error", "functions", functions=functions)

    def task_queue(self) -> dict[str, Any]:
        ((found,),) = self.query("SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS name", TABLES)
        return result("healthy" if found == len(TABLES) else "error", "tables", table_count=found)

    def performance(self) -> dict[str, Any]:
        ((total, slow),) = self.query(STATEMENTS)
        slowest = self.query(SLOWEST)
        ratio = slow / total if total else 0
        return result(level(ratio, 0.1, 0.3), "statements", total_queries=total, slow_queries=slow, slowest=slowest)

    def connections(self) -> dict[str, Any]:
        ((usable, total, active, idle, in_transaction, longest),) = self.query(ACTIVITY)
        details = {"active_connections": active, "idle_connections": idle, "max_connections": usable}
        status = level(100 * total / usable, 70, 90)
        return result(status, f"{total} of {usable}", **details, idle_age=in_transaction, longest_query=longest)

    def pending(self) -> dict[str, Any]:
        queues = {queue: {"depth": depth, "oldest": oldest} for queue, depth, oldest in self.query(PENDING)}
        deepest = max((queue["depth"] for queue in queues.values()), default=0)
        return result(level(deepest, 100, 500), "queues", max_queue_depth=deepest, queue_breakdown=queues)

    def failed(self) -> dict[str, Any]:
        ((failed,),) = self.query(FAILED)
        return result(level(failed, 5, 20), "failures", failed_count_last_hour=failed)

    def workers(self) -> dict[str, Any]:
        ((alive,),) = self.query(ALIVE)
        return result("healthy" if alive else "error", "workers", active_workers=alive)
