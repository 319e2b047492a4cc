"""Host scope in a project: its workers and its commands know the same, and each result is kept once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core import mail

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.connections import identity
from django_lifesigns.checks.dotted import Dotted
from django_lifesigns.runtime import sharing as scope
from django_lifesigns.settings.conf import parse
from tests.django.projects import environment, run, run_json
from tests.django.serving import GUNICORN, Server, answers, send_request, serving
from tests.services import wait_until

TOKEN = "a-token-for-those-who-know"
KNOWN = {"host": "localhost", "authorization": f"Bearer {TOKEN}"}


def project(folder: Path, **lifesigns: Any) -> dict[str, Any]:
    """A check `billing` with a circuit breaker; those that a busy machine fails are left out."""
    busy = ["cpu_load", "memory_usage"]
    breaker = {"failures": 3, "wait": 60}
    never = {"degraded_above": 100, "error_above": 100}
    checks = {
        "billing": {"check": "tests.django.shop.pids.pid", "breaker": breaker, "critical": False},
        "disk_space": {"thresholds": never},
    }
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3"), "OPTIONS": {"timeout": 20}}
    return {
        "DATABASES": {"default": database},
        "LIFESIGNS": {"TOKENS": [TOKEN], "NETWORKS": [], "DISABLED": busy, "CHECKS": checks, **lifesigns},
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving((*GUNICORN, "--workers", "2"), tmp_path, project(tmp_path)) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        yield server


def health(server: Server, path: str = "/health/") -> Any:
    return json.loads(send_request(server.port, path, **KNOWN)[2])


def command(server: Server, *arguments: str) -> str:
    """What a command of the project prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", *arguments],
        env=environment(server.folder, project(server.folder)),
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def answered_by(server: Server) -> set[int]:
    """The workers that answer, of many requests in a row."""
    return {health(server, "/health/detailed/")["system_info"]["pid"] for _ in range(40)}


@pytest.mark.services
def test_breaker__a_command_acts_on_the_running_workers(server: Server) -> None:
    wait_until(lambda: len(answered_by(server)) == 2, 60, "not both workers answer")
    assert health(server, "/health/billing/")["circuit_state"] == "closed"
    assert "every process" not in command(server, "health_breaker", "force-open", "billing")
    found = [health(server, "/health/billing/?refresh=1") for _ in range(20)]
    assert {result["circuit_state"] for result in found} == {"open"}
    assert "forced-open" in command(server, "health_breaker", "list")
    command(server, "health_breaker", "reset", "billing")
    found = [health(server, "/health/billing/?refresh=1") for _ in range(20)]
    assert {result["status"] for result in found} == {"healthy"}


@pytest.mark.services
def test_results__one_run_for_all_and_kept_once(server: Server) -> None:
    wait_until(lambda: len(answered_by(server)) == 2, 60, "not both workers answer")
    found = [health(server, "/health/detailed/") for _ in range(40)]
    # Each was found by one worker; whichever it was, the others show it.
    for name in ("billing", "default_cache", "disk_space"):
        assert len({report["checks"][name]["timestamp"] for report in found}) <= 2, "the time of a ttl may have passed"
    seen = {report["checks"]["billing"]["timestamp"] for report in found}
    command(server, "monitor_health_continuous", "--max-iterations", "1", "--quiet")
    later = [health(server, "/health/detailed/") for _ in range(20)]
    seen |= {report["checks"]["billing"]["timestamp"] for report in later}
    assert {report["checks"]["billing"]["cached"] for report in later} == {True}

    def kept() -> list[tuple[str, int]]:
        with closing(sqlite3.connect(server.folder / "db.sqlite3")) as database:
            return database.execute(
                "SELECT checked_at, count(*) FROM core_health_check_log WHERE check_name = 'billing' GROUP BY 1"
            ).fetchall()

    # Those that the first requests found, too.
    wait_until(lambda: len(kept()) >= len(seen), 60, "not every result is kept")
    assert [row for row in kept() if row[1] != 1] == []


@pytest.mark.services
def test_thresholds__saved_in_one_process_govern_all(server: Server) -> None:
    wait_until(lambda: len(answered_by(server)) == 2, 60, "not both workers answer")
    assert health(server, "/health/disk_space/")["status"] == "healthy"
    program = (
        "from django_lifesigns.models import AlertThreshold as T;"
        "T.objects.create(metric_type='disk_usage', alert_level='warning', threshold_value=0);"
        "T.objects.create(metric_type='disk_usage', alert_level='critical', threshold_value=100)"
    )
    command(server, "shell", "--command", program)
    wait_until(
        lambda: {health(server, "/health/disk_space/")["status"] for _ in range(10)} == {"degraded"}, 30, "not governed"
    )


@pytest.mark.services
def test_metrics__the_same_whichever_worker_answers(server: Server) -> None:
    wait_until(lambda: len(answered_by(server)) == 2, 60, "not both workers answer")

    def runs() -> set[str]:
        lines = send_request(server.port, "/metrics/", **KNOWN)[2].splitlines()
        return {line for line in lines if line.startswith("health_check_runs_total")}

    first = runs()
    assert any('check_name="billing"' in line for line in first)
    assert all(runs() == first for _ in range(20))


@pytest.mark.services
def test_store__that_cannot_be_used_harms_nothing(tmp_path: Path) -> None:
    """Each process checks for itself, and says so."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    settings = project(tmp_path, STORE_PATH=str(tmp_path / "link"))
    with serving((*GUNICORN, "--workers", "2"), tmp_path, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        assert health(server)["status"] == "healthy"
        wait_until(lambda: "is a symbolic link); each process checks for itself meanwhile" in server.log())


PROGRAM = "import json; from django_lifesigns.runtime.sharing import application; print(json.dumps(application()))"


def test_application__the_same_for_all_processes_of_a_project_and_no_other(tmp_path: Path) -> None:
    settings = project(tmp_path)
    first = run_json(tmp_path, settings, PROGRAM)
    assert first.startswith("demo-")
    assert first == run_json(tmp_path, settings, PROGRAM)
    # However much of the databases Django has looked at before.
    used = "from django.db import connection; connection.ensure_connection(); connection.close()\n"
    assert first == run_json(tmp_path, settings, used + PROGRAM)
    elsewhere = {**settings, "DATABASES": {"default": {**settings["DATABASES"]["default"], "NAME": "/elsewhere"}}}
    assert first != run_json(tmp_path, elsewhere, PROGRAM)


def test_application__no_trace_of_a_password(settings: Any) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"

    def of(password: str) -> str:
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": f"redis://:{password}@h:1/0"}}
        return scope.application()

    assert of("hunter2") == of("swordfish")


@pytest.mark.parametrize(
    "changed",
    [
        {"CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}},
        {"STORAGES": {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}},
        {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"a": 1}}}},
    ],
)
def test_application__another_for_other_targets_of_python_checks(settings: Any, changed: dict[str, Any]) -> None:
    before = scope.application()
    for name, value in changed.items():
        setattr(settings, name, value)
    assert scope.application() != before


def test_application__the_same_whatever_is_made_anew_in_each_process(settings: Any) -> None:
    def of(password: str) -> str:
        options = {"password": password, "connection_class": object(), "api_key": password}
        settings.CACHES = {"default": {"BACKEND": "b", "LOCATION": "l", "OPTIONS": options}}
        return scope.application()

    assert of("hunter2") == of("swordfish")


def test_scope__a_test_run_keeps_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = parse({"STORE_PATH": "/somewhere"})
    assert scope.scope(conf) == {}
    monkeypatch.delattr(mail, "outbox")
    assert scope.scope(conf) == {"share": "host", "application": scope.application(), "store_path": "/somewhere"}
    assert scope.scope(parse({"SHARE": "process"})) == {}


def test_identity__distinguishes_our_records() -> None:
    from functools import partial

    assert identity(CacheRoundTrip(alias="a")) != identity(CacheRoundTrip(alias="b"))
    assert identity(partial(Dotted("a.b"), x=1)) == identity(Dotted("a.b")) != identity(Dotted("a.c"))
    assert identity(lambda: True) is None


@pytest.mark.services
def test_command__shows_what_the_workers_found(server: Server) -> None:
    found = health(server, "/health/billing/")
    arguments = ("health_check", "billing", "--format", "json")
    shown = json.loads(command(server, *arguments, "--cached"))["checks"]["billing"]
    assert (shown["timestamp"], shown["cached"]) == (found["timestamp"], True)
    fresh = json.loads(command(server, *arguments))["checks"]["billing"]
    assert fresh["timestamp"] > found["timestamp"]
    assert not fresh["cached"]


def test_run__outside_of_a_server_needs_no_store(tmp_path: Path) -> None:
    done = run(tmp_path, project(tmp_path, SHARE="process"), "-m", "django", "health_check", "disk_space")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "store").exists()
