"""Events: subscribers and the log may be slow, raise and run checks, and cost no caller its answer."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from lifesigns import CheckFailed, Engine
from tests.services import wait_until

SLOW_SECONDS = 3.0


class Raising(logging.Filter):
    """One that knows records of requests only."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.request)  # type: ignore[attr-defined]


@pytest.fixture
def raising_log() -> Any:
    logger, raising = logging.getLogger("lifesigns.checks"), Raising()
    logger.addFilter(raising)
    yield
    logger.removeFilter(raising)


class Switched:
    """A check that fails until it is switched."""

    passes = False

    def __call__(self) -> bool:
        if not self.passes:
            raise ValueError("x")
        return True


@pytest.mark.usefixtures("raising_log")
def test_log_that_raises__costs_neither_the_answer_nor_the_events_nor_later_runs() -> None:
    check, events = Switched(), list[Any]()
    engine = Engine(default_timeout=5, default_ttl=0.05)
    engine.register("switched", check)
    engine.subscribe(events.append)
    assert engine.run()["checks"]["switched"]["error_type"] == "ValueError"
    check.passes = True
    wait_until(lambda: engine.run(refresh=True)["checks"]["switched"]["status"] == "healthy", 10)
    wait_until(lambda: [event.to_status for event in events if hasattr(event, "to_status")] == ["error", "healthy"], 10)


def test_exception_that_raises_when_it_is_looked_at__is_the_answer_and_ends_nothing() -> None:
    class Evil(Exception):
        @property
        def __traceback__(self) -> Any:  # type: ignore[override]
            raise RuntimeError

    evil = [True]

    def check() -> None:
        if evil:
            raise Evil

    engine = Engine(default_timeout=5)
    engine.register("evil", check)
    assert engine.run()["checks"]["evil"]["error_type"] == "Evil"
    evil.clear()
    assert engine.run(refresh=True)["checks"]["evil"]["status"] == "healthy"


@pytest.fixture
def slow_engine() -> Engine:
    """An engine with a change to publish, whose subscriber is slow."""
    check = Switched()
    engine = Engine(default_timeout=5)
    engine.register("switched", check)
    engine.run()
    check.passes = True
    engine.subscribe(lambda event: time.sleep(SLOW_SECONDS))
    return engine


def test_slow_subscriber__is_not_waited_for_beyond_the_deadline(slow_engine: Engine) -> None:
    started = time.monotonic()
    assert slow_engine.run(refresh=True, deadline=0.3)["status"] == "healthy"
    assert time.monotonic() - started < SLOW_SECONDS / 2


def test_slow_subscriber__holds_up_no_event_loop(slow_engine: Engine) -> None:
    longest = [0.0]

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest[0] = max(longest[0], time.monotonic() - before)

    async def run() -> None:
        watching = asyncio.create_task(watch())
        await slow_engine.arun(refresh=True, deadline=0.3)
        watching.cancel()

    asyncio.run(run())
    assert longest[0] < SLOW_SECONDS / 2


def test_quick_subscriber__has_its_events_when_the_run_returns_and_a_thread_of_its_own() -> None:
    seen = list[tuple[str, str]]()
    engine = Engine()
    engine.register("failing", lambda: False)
    engine.subscribe(lambda event: seen.append((type(event).__name__, threading.current_thread().name)))
    engine.run()
    assert ("StatusEvent", "lifesigns-callable") in seen


def test_subscriber_that_runs_checks__waits_for_nothing() -> None:
    engine, took = Engine(), list[float]()
    engine.register("failing", lambda: False)
    engine.register("other", lambda: False)

    def run_other(event: Any) -> None:
        started = time.monotonic()
        engine.check("other", refresh=True)
        took.append(time.monotonic() - started)

    engine.subscribe(run_other)
    engine.run(["failing"])
    wait_until(lambda: len(took) >= 2, 10)
    assert max(took) < 0.9


def test_message_of_several_lines__is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def check() -> None:
        raise CheckFailed("upstream said: bad\r\nWARNING lifesigns.readiness Ready")

    engine = Engine(default_timeout=5)
    engine.register("forged", check)
    expected = "forged: unknown -> error: upstream said: bad WARNING lifesigns.readiness Ready"
    with caplog.at_level(logging.WARNING, "lifesigns.checks"):
        engine.run()
        wait_until(lambda: expected in [record.getMessage() for record in caplog.records], 10)
    assert not any("\n" in record.getMessage() for record in caplog.records)
