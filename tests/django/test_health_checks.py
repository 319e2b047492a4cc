"""The names of the replaced application: what a module finds that has only changed its import path."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from django_lifesigns import health_checks, views
from django_lifesigns.health_checks import (
    HealthCheckManager,
    cache_health_check,
    check_default_cache,
    format_check_result,
    global_health_manager,
    timeout_check,
)
from django_lifesigns.health_checks.result import as_before
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.services import wait_until

MODULES = {
    "manager": ["HealthCheckManager", "global_health_manager", "register_all_checks"],
    "utils": ["CircuitBreaker", "timeout_check", "cache_health_check", "format_check_result"],
    "database": [
        "check_database_connectivity",
        "check_postgis_extension",
        "check_database_performance",
        "check_connection_pool",
        "check_custom_postgresql_functions",
    ],
    "cache": ["check_redis_connectivity", "check_default_cache", "check_select2_cache"],
    "system": ["check_disk_space", "check_memory_usage", "check_cpu_load"],
    "channels": ["check_channel_layer"],
    "mqtt": ["check_mqtt_broker"],
    "external_apis": ["check_aws_ses", "check_google_maps_api", "check_openai_api", "check_anthropic_api"],
    "background_tasks": ["check_task_queue", "check_pending_tasks", "check_failed_tasks", "check_task_workers"],
    "filesystem": ["check_directory_permissions"],
}
NAMES = [(module, name) for module, names in MODULES.items() for name in names]


pytestmark = pytest.mark.usefixtures("as_at_the_start")


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_names__are_where_they_were(module: str, name: str) -> None:
    found = getattr(importlib.import_module(f"django_lifesigns.health_checks.{module}"), name)
    assert getattr(health_checks, name) is found
    assert name in health_checks.__all__


def test_names__are_all() -> None:
    assert sorted(health_checks.__all__) == sorted(name for _, name in NAMES)
    assert len([name for _, name in NAMES if name.startswith("check_")]) == len(CATALOGUE) == 22


@pytest.mark.parametrize("name", ["health_check", "readiness_check", "liveness_check", "detailed_health_check"])
def test_names__of_views(name: str) -> None:
    assert getattr(health_checks, name) is getattr(views, name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [name for _, name in NAMES if name.startswith("check_")])
def test_function__gives_a_result(name: str) -> None:
    result = getattr(health_checks, name)()
    assert result["status"] in ("healthy", "degraded", "error", "skipped")
    assert {"message", "timestamp", "duration_ms", "cached"} <= result.keys()


def test_function__is_that_of_the_engine(settings: Any) -> None:
    settings.LIFESIGNS = {
        "CHECKS": {"memory_usage": {"check": lambda: "from the engine", "name": "ram"}},
        "DISABLED": ["cpu_load"],
    }
    assert health_checks.check_memory_usage()["message"] == "from the engine"
    assert get_engine().check("ram")["cached"] is True
    # A call runs, whatever is known.
    assert health_checks.check_memory_usage()["cached"] is False
    assert health_checks.check_cpu_load()["status"] == "skipped"


def test_format_check_result__shape() -> None:
    result = format_check_result("healthy", "it is well")
    assert result.keys() == {"status", "message", "timestamp"}
    assert result["timestamp"].endswith("+00:00")
    result = format_check_result("error", "it is not", {"a": 1}, 2.5678)
    assert (result["details"], result["duration_ms"]) == ({"a": 1}, 2.57)
    assert "details" not in format_check_result("healthy", "nothing to add", {})


def test_as_before__error_that_was_judged() -> None:
    result = as_before({"status": "error", "message": "95% used"})
    assert result["details"] == {"error_type": "CheckFailed", "connection_status": "connected"}


# timeout_check


def test_timeout__returns_what_the_function_does() -> None:
    value = object()

    @timeout_check(timeout_seconds=5)
    def function(one: object, *, two: int = 2) -> object:
        """Its own words."""
        return value if one == two else [one, two]

    assert function(2) is value
    assert function([1], two=3) == [[1], 3]
    assert function.__name__ == "function"
    assert function.__doc__ == "Its own words."


def test_timeout__raises_what_the_function_raises() -> None:
    errors = [KeyError("first"), ValueError("second")]

    @timeout_check()
    def function() -> None:
        raise errors[0]

    for error in list(errors):
        with pytest.raises(type(error)) as caught:
            function()
        assert caught.value is error
        errors.pop(0)


@pytest.mark.parametrize("error", [ConnectionRefusedError, TimeoutError, OSError])
def test_timeout__connection_errors_are_a_result(error: type[Exception]) -> None:
    @timeout_check()
    def function() -> None:
        raise error("redis://user:hunter2@cache:6379 does not respond")

    result = function()
    assert (result["status"], result["error_type"]) == ("error", error.__name__)
    assert result["message"] == "Connection failed: redis://***@cache:6379 does not respond"


def test_timeout__context_of_the_caller_on_request() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    token = tenant.set("acme")
    assert timeout_check()(tenant.get)() == "none"
    assert timeout_check(copy_context=True)(tenant.get)() == "acme"
    tenant.reset(token)


def test_timeout__equal_calls_at_the_same_time_each_run() -> None:
    barrier = threading.Barrier(3, timeout=30)

    @timeout_check(60)
    def function(number: int) -> int:
        barrier.wait()
        return number

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(function, [7, 7, 7])) == [7, 7, 7]


def test_timeout__overrun_is_an_error_at_once_and_each_call_runs() -> None:
    started: list[int] = []
    release = threading.Event()

    @timeout_check(timeout_seconds=0.2)
    def function() -> str:
        started.append(1)
        release.wait(30)
        return "late"

    began = time.monotonic()
    first = function()
    assert 0.15 < time.monotonic() - began < 10
    assert first["status"] == "error"
    assert "timed out after 0.2 seconds" in first["message"]
    assert (first["error_type"], first["timeout_seconds"]) == ("TimeoutError", 0.2)
    assert "timed out" in function()["message"]
    assert started == [1, 1]
    release.set()
    assert function() == "late"


def test_timeout__in_any_thread() -> None:
    @timeout_check(timeout_seconds=0.2)
    def hangs() -> None:
        time.sleep(1)

    @timeout_check(timeout_seconds=5)
    def returns(number: int) -> int:
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(returns, range(50))) == list(range(50))
        assert all("timed out" in result["message"] for result in pool.map(lambda _: hangs(), range(8)))


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_timeout__wrong(seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        timeout_check(seconds)(lambda: None)


def test_texts__show_no_secret_of_the_settings() -> None:
    """Though no engine has been built."""
    program = """
from django.conf import settings
settings.configure(EMAIL_HOST_PASSWORD="hunter2 has a space")
from django_lifesigns.health_checks import CircuitBreaker, timeout_check
def fail():
    raise ConnectionError("535 hunter2 has a space is wrong")
print(CircuitBreaker().call(fail)["message"], timeout_check(30)(fail)()["message"])
"""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}{program}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "Service unavailable: 535 *** is wrong Connection failed: 535 *** is wrong"


def test_timeout__hanging_function_does_not_hold_up_the_exit() -> None:
    program = """
import time
from django.conf import settings
settings.configure()
from django_lifesigns.health_checks import timeout_check
print(timeout_check(0.2)(time.sleep)(60)["status"])
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}{program}"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.split() == ["error"]
    assert time.monotonic() - began < 30


# cache_health_check


def test_cache__adds_cached_and_calls_once() -> None:
    calls: list[int] = []

    @cache_health_check("mine", cache_ttl=0.5)
    def function(number: int = 0) -> dict[str, object]:
        calls.append(number)
        return {"status": "healthy", "message": "well", "own": number}

    assert function() == {"status": "healthy", "message": "well", "own": 0, "cached": False}
    assert function() == {"status": "healthy", "message": "well", "own": 0, "cached": True}
    assert function(7)["own"] == 7
    assert calls == [0, 7]
    wait_until(lambda: function()["cached"] is False)
    assert calls == [0, 7, 0]


def test_cache__what_is_raised_is_not_kept() -> None:
    answers: list[Any] = [ValueError("first"), {"status": "healthy", "message": "then"}]

    @cache_health_check("mine")
    def function() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="first"):
        function()
    assert function()["cached"] is False
    assert function()["cached"] is True


def test_cache__over_timeout_and_under() -> None:
    @cache_health_check("outer")
    @timeout_check(0.2)
    def outer() -> None:
        time.sleep(1)

    @timeout_check(5)
    @cache_health_check("inner")
    def inner() -> dict[str, str]:
        return {"status": "healthy", "message": "well"}

    result = outer()
    assert "timed out after 0.2 seconds" in result["message"]
    assert result["cached"] is False
    assert (inner()["cached"], inner()["cached"]) == (False, True)


# HealthCheckManager


def healthy() -> dict[str, object]:
    return format_check_result("healthy", "well", {"a": 1})


def broken() -> None:
    raise ValueError("hunter2")


def manager_of(**functions: Any) -> HealthCheckManager:
    manager = HealthCheckManager()
    for name, function in functions.items():
        manager.register_check(name, function)
    return manager


def test_manager__runs_one() -> None:
    manager = manager_of(mine=healthy)
    assert manager.checks["mine"] == {"func": healthy, "critical": True, "last_run": None, "last_result": None}
    result = manager.run_check("mine")
    assert (result["status"], result["message"], result["details"]) == ("healthy", "well", {"a": 1})
    assert manager.checks["mine"]["last_result"] == result
    assert manager.checks["mine"]["last_run"] is not None
    assert manager.start_time <= time.time()


def test_manager__unknown_name() -> None:
    result = manager_of(mine=healthy).run_check("yours")
    assert (result["status"], result["error_type"]) == ("error", "UnknownCheckError")
    assert "mine" in result["message"]


@pytest.mark.parametrize("parallel", [True, False])
def test_manager__report(parallel: bool) -> None:
    manager = manager_of(first=healthy, second=lambda: "degraded")
    manager.register_check("third", broken, critical=False)
    report = manager.run_all_checks(parallel=parallel)
    assert report["status"] == "degraded"
    assert {name: result["status"] for name, result in report["checks"].items()} == {
        "first": "healthy",
        "second": "degraded",
        "third": "error",
    }
    assert report["summary"] == {
        "total_checks": 3,
        "healthy": 1,
        "degraded": 1,
        "errors": 1,
        "skipped": 0,
        "health_percentage": 33.3,
    }
    assert report["checks"]["third"]["error_type"] == "ValueError"
    assert "hunter2" not in str(report)
    assert not any(result["cached"] for result in report["checks"].values())
    assert all(entry["last_result"] == report["checks"][name] for name, entry in manager.checks.items())


def test_manager__parallel_and_in_sequence() -> None:
    running: list[str] = []
    overlap: list[int] = []
    order: list[str] = []

    def check(name: str) -> Any:
        def run() -> None:
            order.append(name)
            running.append(name)
            time.sleep(0.2)
            overlap.append(len(running))
            running.remove(name)

        return run

    names = ["c", "a", "d", "b"]
    manager = manager_of(**{name: check(name) for name in names})
    manager.run_all_checks(parallel=True)
    assert max(overlap) > 1
    overlap.clear()
    order.clear()
    manager.run_all_checks(parallel=False)
    assert order == names
    assert overlap == [1] * 4


def test_manager__runs_each_time() -> None:
    calls: list[int] = []
    manager = manager_of(mine=lambda: calls.append(1))
    manager.run_check("mine")
    manager.run_check("mine")
    manager.run_all_checks()
    assert len(calls) == 3


def test_manager__checks_are_live() -> None:
    manager = manager_of(mine=broken, other=healthy)
    assert manager.run_all_checks()["status"] == "unhealthy"
    manager.checks["mine"]["critical"] = False
    assert manager.run_all_checks()["status"] == "degraded"
    manager.register_check("mine", healthy)
    assert manager.run_all_checks()["status"] == "healthy"
    del manager.checks["other"]
    assert list(manager.run_all_checks()["checks"]) == ["mine"]


def test_manager__keeps_what_else_a_check_returns() -> None:
    @cache_health_check("mine")
    def cached() -> dict[str, object]:
        return {"status": "healthy", "message": "well", "response_time": 7}

    manager = manager_of(mine=cached)
    assert manager.run_check("mine")["cached"] is False
    result = manager.run_all_checks()["checks"]["mine"]
    assert (result["cached"], result["response_time"]) == (True, 7)


def test_manager__timeouts(settings: Any) -> None:
    settings.LIFESIGNS = {"DEFAULT_TIMEOUT": 0.3}

    @timeout_check(0.8)
    def slow() -> str:
        time.sleep(0.5)
        return "slow and well"

    @timeout_check(0.2)
    def hasty() -> None:
        time.sleep(1)

    manager = manager_of(slow=slow, hasty=hasty, other=lambda: time.sleep(1))
    checks = manager.run_all_checks()["checks"]
    assert checks["slow"]["message"] == "slow and well"
    assert "timed out after 0.2 seconds" in checks["hasty"]["message"]
    assert checks["hasty"]["error_type"] == checks["other"]["error_type"] == "TimeoutError"


@pytest.mark.parametrize("name", ["my check", ""])
def test_manager__wrong_name(name: str) -> None:
    for manager in (HealthCheckManager(), global_health_manager):
        with pytest.raises(ValueError, match="name"):
            manager.register_check(name, healthy)
        assert name not in manager.checks


def test_manager__unknown_status_is_degraded() -> None:
    async def later() -> dict[str, object]:
        return {"status": "unknown"}

    manager = manager_of(mine=lambda: {"status": "warning", "message": "hm", "details": {"a": 1}}, later=later)
    report = manager.run_all_checks()
    assert report["status"] == "degraded"
    mine = report["checks"]["mine"]
    assert (mine["status"], mine["message"]) == ("degraded", "hm")
    assert mine["details"] == {"a": 1, "returned_status": "warning"}
    assert report["checks"]["later"]["message"] == "The check returned the status 'unknown'"


def test_manager__uptime_is_its_own() -> None:
    manager = manager_of(mine=healthy)
    manager.start_time -= 1_000
    assert 1_000 <= manager.run_all_checks()["uptime_seconds"] < 2_000


def test_manager__errors_have_details() -> None:
    manager = manager_of(mine=broken)
    assert manager.run_check("mine")["details"] == {"error_type": "ValueError", "connection_status": "failed"}


@pytest.mark.django_db(transaction=True)
def test_manager__functions_of_the_22() -> None:
    manager = manager_of(cache=check_default_cache, mqtt=health_checks.check_mqtt_broker)
    checks = manager.run_all_checks()["checks"]
    assert checks["cache"]["details"]["read_write_test"] == "passed"
    assert checks["mqtt"]["status"] == "skipped"
