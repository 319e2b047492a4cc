"""What the PostgreSQL tests share: specifications for a running server, and runs of one check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lifesigns
from tests.services import Postgres
from tests.services.cluster import DATABASE, PASSWORD, SUPERUSER_PASSWORD, USER

SECRETS = (PASSWORD, SUPERUSER_PASSWORD)
TASKS = ["background_task"]
WORKERS = ["background_task_worker"]
PENDING = "SELECT queue_name, count(*), min(created_at) FROM background_task WHERE status = 'pending' GROUP BY 1"
FAILED = "SELECT count(*) FROM background_task WHERE status = 'failed' AND updated_at > {since}"
ALIVE = "SELECT count(*) FROM background_task_worker WHERE last_heartbeat > {since}"

KINDS: dict[str, dict[str, Any]] = {
    "postgres": {},
    "postgis": {},
    "postgres_functions": {"functions": ["cleanup_expired_sessions"]},
    "postgres_statements": {},
    "postgres_connections": {},
    "materialized_views": {"views": ["choices"]},
    "task_tables": {"backend": "background_task", "tables": TASKS + WORKERS},
    "pending_tasks": {"sql": PENDING, "tables": TASKS},
    "failed_tasks": {"sql": FAILED, "tables": TASKS},
    "task_workers": {"sql": ALIVE, "tables": WORKERS},
}

# The status of each on the test server, which has no materialized view.
WELL = {kind: "degraded" if kind == "materialized_views" else "healthy" for kind in KINDS}
# Sessions of one server and urgency: vital and diagnostic checks have one each as long as no statement is slow.
SESSIONS = 2
# With slow statements, for vital and for diagnostic checks together.
MOST_SESSIONS = 6
# How many hanging statements of `sleeper` run there.
SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
)


def server(service: Any, /, **parameters: Any) -> dict[str, Any]:
    """Connection parameters; one set to None is left out."""
    given = {
        "host": service.host,
        "port": service.port,
        "user": USER,
        "password": PASSWORD,
        "dbname": DATABASE,
        **parameters,
    }
    return {name: value for name, value in given.items() if value is not None}


def spec(kind: str, where: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "server": where, **KINDS[kind], **fields}


def engine(timeout: float = 5.0, /, **specs: dict[str, Any]) -> lifesigns.Engine:
    made = lifesigns.Engine(default_timeout=timeout)
    for name, one in specs.items():
        made.register(name, one)
    return made


def run(one: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
    """The result of a check of its own."""
    return result_of(engine(timeout, x=one))


def result_of(made: lifesigns.Engine, name: str = "x") -> dict[str, Any]:
    """A new result of a registered check, which must show no secret and end in time."""
    started = time.monotonic()
    result = dict(made.check(name, refresh=True))
    assert time.monotonic() - started < 15
    for secret in SECRETS:
        assert secret not in str(result)
    return result


def statuses(report: Any) -> dict[str, str]:
    return {name: result["status"] for name, result in report["checks"].items()}


def every_kind(where: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {kind: spec(kind, where) for kind in KINDS}


def sleeper(where: dict[str, Any]) -> dict[str, Any]:
    """A check whose statement hangs."""
    return spec("task_workers", where, sql="SELECT count(*) FROM (SELECT pg_sleep(60)) s")


@contextmanager
def login_by(secure: Postgres, method: str) -> Iterator[dict[str, Any]]:
    """Connection parameters of a role that logs in by a method of pg_hba.conf, with the password that it takes."""
    rules = secure.data / "pg_hba.conf"
    before = rules.read_text()
    encryption = "md5" if method == "md5" else "scram-sha-256"
    secure.sql(f"SET password_encryption = '{encryption}'; CREATE ROLE bound LOGIN PASSWORD '{PASSWORD}'")
    rules.write_text(f"host all bound all {method}\n{before}")
    secure.sql("SELECT pg_reload_conf()")
    try:
        yield server(secure, user="bound", application_name=method)
    finally:
        rules.write_text(before)
        secure.sql("DROP ROLE bound; SELECT pg_reload_conf()")
