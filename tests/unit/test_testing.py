"""`lifesigns.testing` and its pytest plugin, which these tests run with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine, testing
from lifesigns.testing import FrozenClock

pytest_plugins = ["pytester"]


def test_fake_takes_the_place_of_a_check_until_reset(lifesigns_engine: Engine) -> None:
    runs: list[int] = []
    lifesigns_engine.register("database", lambda: runs.append(1))
    lifesigns_engine.check("database")
    testing.fake(lifesigns_engine, "database", "error", "No route", details={"host": "db"}, error_type="TimeoutError")
    result = lifesigns_engine.check("database")
    assert (result["status"], result["message"], result["error_type"]) == ("error", "No route", "TimeoutError")
    assert result["details"] == {"host": "db"}
    assert lifesigns_engine.run()["status"] == "unhealthy"
    assert runs == [1]
    testing.reset()
    assert lifesigns_engine.check("database")["status"] == "healthy"
    assert runs == [1, 1]


def test_fake_of_a_native_check_ends_with_its_block(lifesigns_engine: Engine) -> None:
    lifesigns_engine.register("native", {"kind": "skipped", "reason": "not configured"})
    with testing.faked(lifesigns_engine, "native", "degraded", "slow"):
        assert lifesigns_engine.check("native")["message"] == "slow"
    assert lifesigns_engine.check("native")["status"] == "skipped"


def test_fake_adds_a_check_and_is_the_latest(lifesigns_engine: Engine, lifesigns_fake: Callable[..., None]) -> None:
    for status in ("healthy", "degraded", "error", "skipped"):
        lifesigns_fake("mail", status)
        assert lifesigns_engine.check("mail")["status"] == status


@pytest.mark.parametrize("options", [{"status": "fine"}, {"status": "degraded", "error_type": "TimeoutError"}])
def test_fake_result_that_cannot_be_is_a_value_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="status"):
        testing.fake_result(**options)


def test_clock_shows_the_same_reports_each_time(lifesigns_clock: FrozenClock) -> None:
    def report() -> Any:
        engine = Engine()
        engine.register("a", lambda: None, ttl=10)
        engine.register("b", {"kind": "skipped", "reason": "none"}, ttl=60)
        shown: list[Any] = [engine.run()]
        lifesigns_clock.advance(10)
        shown += [engine.run(), engine.check("b"), asyncio.run(engine.arun()), asyncio.run(engine.acheck("a"))]
        for each in shown:
            each.pop("correlation_id", None)
        return shown

    first = report()
    assert first[0]["timestamp"] == "2026-01-01T00:00:00+00:00"
    assert first[1]["uptime_seconds"] == 10
    assert (first[1]["checks"]["a"]["cached"], first[1]["checks"]["b"]["age_seconds"]) == (False, 10)
    lifesigns_clock.now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert report() == first


def test_plugin_resets_everything_after_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import lifesigns, pytest
        engine = lifesigns.Engine()
        engine.register("x", lambda: None)

        @pytest.fixture
        def lifesigns_engine():
            return engine

        def test_first(lifesigns_fake, lifesigns_clock):
            lifesigns_fake("x", "error")
            lifesigns.drain()
            lifesigns.check("mine")(lambda: None)
            engine.serve("127.0.0.1:0")
            assert engine.run()["status"] == "unhealthy"

        def test_second():
            assert engine.run()["status"] == "healthy"
            assert not lifesigns.draining()
            from lifesigns import checks, probe_server
            assert not checks.DECLARED and not probe_server._serving
            assert engine.run()["uptime_seconds"] != 0
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:django", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


def test_plugin_fixture_makes_an_empty_engine(lifesigns_engine: Engine) -> None:
    assert lifesigns_engine.names == ()
    assert isinstance(lifesigns_engine, lifesigns.Engine)
