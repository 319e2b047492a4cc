"""`lifesigns.Job`: the value or the exception of a function, in time, once for all who wait for it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from lifesigns import Job, StillRunningError


class OwnError(Exception):
    """What the function raises."""


def fail() -> None:
    raise OwnError("the reason")


def test_job_without_references_is_collected() -> None:
    argument = OwnError()
    held = weakref.ref(argument)
    Job(partial(repr, argument)).run()
    del argument
    gc.collect()
    assert held() is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds above 0, not 0"),
        ({"timeout": "5"}, "timeout must be a number of seconds, not '5'"),
        ({"ttl": float("nan")}, "ttl must be a number of seconds, not nan"),
        ({"ttl": -1}, "ttl must be a number of seconds from 0, not -1"),
    ],
)
def test_wrong_option_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Job(fail, **options)


@pytest.mark.parametrize("value", [None, 0, "degraded", {"status": "error"}, object(), b"\x00", [1]])
def test_value_of_any_type_is_returned(value: object) -> None:
    assert Job(lambda: value).run() is value


def test_exception_is_raised_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(fail)
    for _ in range(3):
        with pytest.raises(OwnError, match="the reason"):
            job.run()
    assert caplog.text == ""


def test_async_function_and_async_caller() -> None:
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    assert Job(partial(add, 2, 3)).run() == 5
    assert asyncio.run(Job(partial(add, 2, 4)).arun()) == 6
    assert asyncio.run(Job(lambda: 7).arun()) == 7
    with pytest.raises(OwnError):
        asyncio.run(Job(fail).arun())


def test_overrun_times_out_and_is_not_called_again_until_it_returns() -> None:
    release, calls = threading.Event(), []

    def hangs() -> str:
        calls.append(1)
        release.wait(30)
        return "late"

    # Long enough for a busy machine to call it a second time.
    job = Job(hangs, timeout=1)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^Timed out after 1 s$"):
        job.run()
    assert time.monotonic() - started < 10
    with pytest.raises(StillRunningError, match="Still running for"):
        job.run()
    assert len(calls) == 1
    release.set()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert job.run() == "late"
            break
        except StillRunningError:
            assert time.monotonic() < deadline
    assert len(calls) == 2


def test_ttl_keeps_a_value_but_no_exception() -> None:
    values: Iterator[OwnError | int] = iter([OwnError("first"), 1, 2])

    def take() -> int:
        value = next(values)
        if isinstance(value, OwnError):
            raise value
        return value

    job = Job(take, ttl=60)
    with pytest.raises(OwnError):
        job.run()
    first, second = job.result(), job.result()
    assert (first.value, first.cached) == (1, False)
    assert (second.value, second.cached) == (1, True)
    assert job.run(refresh=True) == 2


def test_callers_at_once_share_one_call() -> None:
    calls = []

    def slow() -> int:
        calls.append(1)
        time.sleep(0.2)
        return len(calls)

    job = Job(slow)
    with ThreadPoolExecutor(20) as pool:
        values = {future.result() for future in [pool.submit(job.run) for _ in range(20)]}
    assert values <= {1, 2}
    assert len(calls) <= 2


@pytest.mark.parametrize("options", [{"timeout": 0}, {"ttl": -1}, {"timeout": float("nan")}])
def test_wrong_option_is_a_value_error(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"timeout|ttl"):
        Job(lambda: 1, **options)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="callable"):
        Job(3)  # type: ignore[call-overload]
