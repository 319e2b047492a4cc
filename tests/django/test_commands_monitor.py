"""The commands that repeat: `monitor_health_continuous` and `health_check --watch`; and `health_breaker`."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_lifesigns.history import recorder
from django_lifesigns.management.schedule import ticks
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from django_lifesigns.runtime.engine import get_engine
from tests.django.projects import environment, migrate, run
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 20
QUIET_MACHINE = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"]}


@pytest.fixture(autouse=True)
def fresh(settings: Any, as_in_a_server: None) -> Iterator[None]:
    settings.LIFESIGNS = QUIET_MACHINE
    recorder._current.clear()
    yield
    recorder._current.clear()


def command(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


class Clock:
    """Time that passes by sleeping, and by what `durations` say that the sweeps take."""

    def __init__(self, durations: list[float]) -> None:
        self.time = 100.0
        self.durations = durations

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.time += seconds


@pytest.mark.parametrize(
    ("durations", "starts"),
    [
        ([1, 1, 1, 1], [0, 10, 20, 30]),
        ([0, 0, 0, 0], [0, 10, 20, 30]),
        ([9.99, 9.99, 9.99, 1], [0, 10, 20, 30]),
        ([12, 1, 1, 1], [0, 20, 30, 40]),
        ([35, 1, 25, 1], [0, 40, 50, 80]),
        ([10, 1, 1, 1], [0, 20, 30, 40]),
    ],
)
def test_ticks__from_start_to_start(durations: list[float], starts: list[float]) -> None:
    clock = Clock(durations)
    found = []
    for tick in ticks(10, len(durations), clock.now, clock.sleep):
        found.append(clock.time - 100)
        clock.time += durations[tick]
    assert found == pytest.approx(starts)


def test_monitor__keeps_every_sweep() -> None:
    lines = command("monitor_health_continuous", "--interval", "0.2", "--max-iterations", "3").splitlines()
    assert len(lines) == 4
    assert all(re.match(r"2\S+Z healthy: \d+ healthy, 0 degraded, 0 errors, \d+ skipped$", line) for line in lines[:3])
    assert re.fullmatch(r"3 sweeps in \d+ s: 3 healthy, 0 degraded, 0 unhealthy", lines[3])
    assert HealthCheckLog.objects.filter(check_name="default_cache").count() == 3
    assert ServiceAvailability.objects.get(service_name="default_cache").total_checks == 3


def test_monitor__names_what_is_not_well(settings: Any) -> None:
    settings.LIFESIGNS = {**QUIET_MACHINE, "CHECKS": {"mine": lambda: False}}
    [first, last] = command("monitor_health_continuous", "--max-iterations", "1").splitlines()
    assert " unhealthy: " in first
    assert first.endswith("mine is error")
    assert last.endswith("0 healthy, 0 degraded, 1 unhealthy")


def test_monitor__quiet(settings: Any) -> None:
    answers = iter([True, False, True])
    settings.LIFESIGNS = {**QUIET_MACHINE, "CHECKS": {"mine": lambda: next(answers)}}
    lines = command("monitor_health_continuous", "--interval", "0.1", "--max-iterations", "3", "--quiet").splitlines()
    assert len(lines) == 2
    assert "unhealthy" in lines[0]
    assert lines[1].startswith("3 sweeps")


@pytest.mark.parametrize("arguments", [["--interval", "0"], ["--interval", "x"], ["--max-iterations", "-1"]])
def test_monitor__wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        command("monitor_health_continuous", *arguments)


def project(folder: Path) -> dict[str, Any]:
    settings = {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        "LIFESIGNS": QUIET_MACHINE,
    }
    migrate(folder, settings)
    return settings


def start(
    folder: Path, settings: dict[str, Any], *arguments: str, program: Sequence[str] = ("-m", "django"), **more: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *program, *arguments],
        env=environment(folder, settings),
        cwd=folder,
        text=True,
        **more,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_monitor__stops_with_a_summary(tmp_path: Path, stop: signal.Signals) -> None:
    arguments = ["monitor_health_continuous", "--interval", "30"]
    process = start(tmp_path, project(tmp_path), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert " healthy: " in process.stdout.readline()
    process.send_signal(stop)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert re.fullmatch(r"1 sweep in \d+ s: 1 healthy, 0 degraded, 0 unhealthy\n", out)


def test_monitor__continues_without_a_database(tmp_path: Path) -> None:
    nowhere = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "nowhere" / "db.sqlite3")}
    settings = {"DATABASES": {"default": nowhere}, "LIFESIGNS": QUIET_MACHINE}
    done = run(
        tmp_path, settings, "-m", "django", "monitor_health_continuous", "--interval", "0.2", "--max-iterations", "3"
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (0, 4)
    assert all("database_connectivity is error" in line for line in lines[:3])
    assert re.search(r"3 unhealthy; \d+ results could not be written to the history$", lines[3])
    assert "Traceback" not in done.stderr


def on_a_terminal(folder: Path, settings: dict[str, Any], *arguments: str, **more: Any) -> str:
    """Return what the command shows on a terminal until it is stopped by Ctrl-C, once it has drawn itself twice."""
    master, slave = pty.openpty()
    streams: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave}
    process = start(folder, settings, *arguments, **streams, start_new_session=True, **more)
    os.close(slave)
    seen, stopped = b"", False
    try:
        with suppress(OSError):  # the terminal is gone when the command is
            while select.select([master], [], [], SECONDS)[0]:
                seen += os.read(master, 65_536)
                if not stopped and seen.count(b"default_cache") >= 2:
                    stopped = True
                    process.send_signal(signal.SIGINT)
                assert seen.count(b"default_cache") < 100, "not stopped by Ctrl-C"
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        os.close(master)
    return seen.decode()


def test_monitor__a_live_table_on_a_terminal(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, project(tmp_path), "monitor_health_continuous", "--interval", "0.3")
    assert "(sweep 1, " in shown
    assert "\x1b[" in shown
    assert "sweeps in" in shown


def test_watch__a_live_table_on_a_terminal(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, project(tmp_path), "health_check", "default_cache", "--watch", "0.3")
    assert "All systems operational" in shown


def test_watch__a_line_of_json_each_time(tmp_path: Path) -> None:
    arguments = ["health_check", "default_cache", "--format", "json", "--watch", "0.2"]
    process = start(tmp_path, project(tmp_path), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    reports = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, "")
    assert [list(report["checks"]) for report in reports] == [["default_cache"]] * 3
    assert len({report["correlation_id"] for report in reports}) == 3


def test_watch__exit_code_of_the_last(settings: Any) -> None:
    answers = iter([True, True, False])
    started = time.monotonic()

    def mine() -> bool:
        if time.monotonic() - started > 20:
            raise AssertionError("not stopped")
        try:
            return next(answers)
        except StopIteration:
            os.kill(os.getpid(), signal.SIGINT)
            return False

    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": mine, "ttl": 0.01}}}
    with pytest.raises(SystemExit) as ended:
        command("health_check", "mine", "--watch", "0.1")
    assert ended.value.code == 2


def test_breaker__list(settings: Any) -> None:
    settings.LIFESIGNS = {**QUIET_MACHINE, "CHECKS": {"mine": {"check": lambda: True, "breaker": {"failures": 1}}}}
    rows = [line.split() for line in command("health_breaker", "list").splitlines()]
    assert ["mine", "closed", "automatic"] in rows
    assert ["mqtt_broker", "closed", "automatic"] in rows
    assert not [row for row in rows if "default_cache" in row]
    assert len(command("health_breaker", "list", "mine").splitlines()) == 2


@pytest.mark.parametrize(
    ("action", "shown", "status"),
    [
        ("force-open", "open forced-open", "error"),
        ("force-close", "closed forced-closed", "healthy"),
        ("disable", "closed disabled", "healthy"),
    ],
)
def test_breaker__force_and_reset(settings: Any, action: str, shown: str, status: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": lambda: True, "breaker": {"failures": 1}}}}
    err = StringIO()
    out = StringIO()
    call_command("health_breaker", action, "mine", stdout=out, stderr=err)
    assert shown.split() in [line.split()[1:] for line in out.getvalue().splitlines()]
    assert "every process has circuit breakers of its own" in err.getvalue()
    assert get_engine().check("mine", refresh=True)["status"] == status
    assert "automatic" in command("health_breaker", "reset", "mine")
    wait_until(lambda: get_engine().check("mine", refresh=True)["status"] == "healthy")


def test_breaker__of_a_skipped_check_changes_nothing(settings: Any) -> None:
    settings.LIFESIGNS = QUIET_MACHINE
    err = StringIO()
    for _ in range(2):  # before its first run, and after that
        call_command("health_breaker", "force-open", "mqtt_broker", stdout=StringIO(), stderr=err)
        assert "mqtt_broker is skipped, and stays so: it never runs" in err.getvalue()
        assert "(set MQTT_CONFIG to check an MQTT broker)" in err.getvalue()
        result = get_engine().check("mqtt_broker", refresh=True)
        assert (result["status"], "MQTT_CONFIG" in result["message"]) == ("skipped", True)
        command("health_breaker", "reset", "mqtt_broker")
        get_engine().check("mqtt_broker", refresh=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reset"], "reset needs the NAME"),
        (["force-open", "nope"], "Known are"),
        (["force-open", "mqtt_borker"], "Did you mean 'mqtt_broker'"),
        (["force-open", "default_cache"], "has no circuit breaker"),
    ],
)
def test_breaker__wrong_calls(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        command("health_breaker", *arguments)
    assert caught.value.returncode == 2
