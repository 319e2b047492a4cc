"""`lifesigns.Circuit`: a circuit breaker around any function."""

from __future__ import annotations

import asyncio
import functools
import os
import pickle
import threading
import time
from typing import Any

import pytest

from lifesigns import (
    CheckDegraded,
    CheckFailed,
    Circuit,
    CircuitOpenError,
    JobError,
    NotStartedError,
    StillRunningError,
    UnknownCheckError,
)
from lifesigns.specs import Breaker
from tests.services import wait_until


class BrokenError(Exception):
    """What the function raises."""


def broken() -> None:
    raise BrokenError("the secret is hunter2")


def opened(**breaker: float) -> Circuit:
    circuit = Circuit({"failures": 2, "wait": 0.2, "max_wait": 0.2, **breaker})
    for _ in range(2):
        with pytest.raises(BrokenError):
            circuit.call(broken)
    return circuit


def test_call__gives_arguments_and_returns() -> None:
    circuit = Circuit()
    assert circuit.call(divmod, 7, 3) == (2, 1)
    assert circuit.call(int, "11", base=2) == 3
    assert (circuit.state, circuit.failures) == ("closed", 0)


def test_call__failures_in_a_row_open_it() -> None:
    circuit = opened()
    assert (circuit.state, circuit.failures) == ("open", 2)
    called: list[int] = []
    with pytest.raises(CircuitOpenError, match="Circuit breaker open") as caught:
        circuit.call(called.append, 1)
    assert called == []
    assert 0 < (caught.value.retry_after or 0) <= 0.2


def test_call__success_between_starts_again() -> None:
    circuit = Circuit(Breaker(failures=2))
    for function in (broken, bool, broken):
        try:
            circuit.call(function)
        except BrokenError:
            continue
    assert (circuit.state, circuit.failures) == ("closed", 1)


def test_trial__success_closes() -> None:
    circuit = opened()
    wait_until(lambda: circuit.state == "half-open")
    assert circuit.call(lambda: 7) == 7
    assert (circuit.state, circuit.failures) == ("closed", 0)


def test_trial__failure_opens_again() -> None:
    circuit = opened()
    wait_until(lambda: circuit.state == "half-open")
    with pytest.raises(BrokenError):
        circuit.call(broken)
    assert circuit.state == "open"


def test_trial__only_one_at_a_time() -> None:
    circuit = opened(wait=0.05, max_wait=0.05)
    wait_until(lambda: circuit.state == "half-open")
    release, started = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        release.wait(10)

    trial = threading.Thread(target=circuit.call, args=(slow,))
    trial.start()
    assert started.wait(10)
    refused = 0
    for _ in range(20):
        try:
            circuit.call(bool)
        except CircuitOpenError:
            refused += 1
    release.set()
    trial.join()
    assert refused == 20
    assert circuit.state == "closed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_call__an_end_of_the_process_is_no_failure(error: type[BaseException]) -> None:
    circuit = opened(wait=0.01, max_wait=0.01)
    wait_until(lambda: circuit.state == "half-open")

    def end() -> None:
        raise error

    with pytest.raises(error):
        circuit.call(end)
    # The trial was given back.
    assert circuit.call(lambda: 1) == 1


def test_reset__closes() -> None:
    circuit = opened(wait=600, max_wait=600)
    circuit.reset()
    assert (circuit.state, circuit.failures) == ("closed", 0)
    assert circuit.call(lambda: 1) == 1


@pytest.mark.parametrize(
    ("breaker", "named"), [({"failures": 0}, "failures"), ({"wait": 0}, "0"), ({"failurs": 1}, "failures")]
)
def test_new__with_a_wrong_value_is_refused(breaker: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Circuit(breaker)
    with pytest.raises(ValueError, match="trial_lease"):
        Circuit(longest_call=-1)


def test_fork__child_starts_closed_while_the_parent_calls() -> None:
    circuit = opened(wait=600, max_wait=600)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            assert circuit.state == "open"

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0 if circuit.call(lambda: 7) == 7 else 1)
            deadline = time.monotonic() + 10
            while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.005)
            assert done == (child, 0), "the child hangs"
    finally:
        stop.set()
        thread.join()
    assert circuit.state == "open"


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    if value < 0:
        raise BrokenError
    return value


def test_acall__counts_what_the_coroutine_comes_to() -> None:
    circuit = Circuit({"failures": 2, "wait": 60})
    assert asyncio.run(circuit.acall(answer, 7)) == 7
    for _ in range(2):
        with pytest.raises(BrokenError):
            asyncio.run(circuit.acall(answer, -1))
    assert circuit.state == "open"
    with pytest.raises(CircuitOpenError):
        asyncio.run(circuit.acall(answer, 7))


def test_acall__cancelled_trial_is_given_back() -> None:
    circuit = opened(wait=0.01, max_wait=0.01)
    wait_until(lambda: circuit.state == "half-open")

    async def cancel() -> None:
        started = asyncio.Event()

        async def hang() -> None:
            started.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(circuit.acall(hang))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert asyncio.run(circuit.acall(answer, 1)) == 1


def test_call__of_an_async_function_is_refused() -> None:
    circuit = Circuit()
    with pytest.raises(TypeError, match="acall"):
        circuit.call(answer, 1)  # type: ignore[unused-coroutine]
    assert circuit.failures == 0


def test_circuit__beside_a_trial_names_no_time() -> None:
    circuit = Circuit({"failures": 1, "wait": 0.05})
    with pytest.raises(ZeroDivisionError):
        circuit.call(divmod, 1, 0)
    wait_until(lambda: circuit.state == "half-open")
    with pytest.raises(CircuitOpenError, match=r"^Circuit breaker open$") as caught:
        circuit.call(lambda: circuit.call(bool))
    assert caught.value.retry_after is None


@pytest.mark.parametrize("retry_after", [None, 2.5])
def test_circuit_open_error__can_be_pickled(retry_after: float | None) -> None:
    copy = pickle.loads(pickle.dumps(CircuitOpenError(retry_after)))
    assert (copy.retry_after, str(copy)) == (retry_after, str(CircuitOpenError(retry_after)))


async def answer_of(*, number: int) -> int:
    return number


class AsyncCallable:
    async def __call__(self) -> int:
        return 1


@pytest.mark.parametrize("function", [functools.partial(answer_of, number=1), AsyncCallable()])
def test_call__of_what_hides_an_async_function_is_refused(function: Any) -> None:
    circuit = Circuit()
    with pytest.raises(TypeError, match="acall"):
        circuit.call(function)
    assert asyncio.run(circuit.acall(function)) == 1


def test_call__other_exceptions_say_nothing() -> None:
    circuit = Circuit({"failures": 2, "wait": 0.01, "max_wait": 0.01}, failures=(OSError,))
    with pytest.raises(ConnectionError):
        circuit.call(raises, ConnectionError)
    with pytest.raises(BrokenError):
        circuit.call(broken)
    assert (circuit.state, circuit.failures) == ("closed", 1)
    with pytest.raises(ConnectionError):
        circuit.call(raises, ConnectionError)
    wait_until(lambda: circuit.state == "half-open")
    with pytest.raises(BrokenError):
        circuit.call(broken)
    # The trial is given back: the next call is another one.
    assert (circuit.state, circuit.call(int)) == ("half-open", 0)
    wait_until(lambda: circuit.state == "closed")


def raises(error: type[Exception]) -> None:
    raise error


EXCEPTIONS = [
    CheckFailed("text", {"a": 1}),
    CheckDegraded("text"),
    JobError("text"),
    NotStartedError("text"),
    StillRunningError("text"),
    UnknownCheckError("text"),
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_exceptions__can_be_pickled(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.args) == (type(error), "text", error.args)
    assert getattr(copy, "details", None) == getattr(error, "details", None)
