"""`CircuitBreaker` of the replaced application, and those that are bound to the project's engine."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from django_lifesigns.health_checks import CircuitBreaker, check_mqtt_broker
from django_lifesigns.health_checks.external_apis import (
    anthropic_circuit_breaker,
    gmaps_circuit_breaker,
    openai_circuit_breaker,
    ses_circuit_breaker,
)
from django_lifesigns.health_checks.mqtt import mqtt_circuit_breaker
from django_lifesigns.runtime.engine import get_engine, reset
from tests.services import wait_until

SECRET = "amqp://user:hunter2@queue:5672 refused"


def refused() -> None:
    raise ConnectionRefusedError(SECRET)


def opened(threshold: int = 2, timeout: float = 60) -> CircuitBreaker:
    breaker = CircuitBreaker(threshold, timeout)
    for _ in range(threshold):
        breaker.call(refused)
    return breaker


def state_of(breaker: CircuitBreaker) -> tuple[str, int, float | None]:
    return breaker.state, breaker.failure_count, breaker.last_failure_time


def test_call__returns_a_result() -> None:
    breaker = CircuitBreaker(failure_threshold=2, timeout_seconds=0.3)
    assert state_of(breaker) == ("closed", 0, None)
    assert breaker.call(divmod, 7, 3) == (2, 1)
    message = "Service unavailable: amqp://***@queue:5672 refused"
    assert breaker.call(refused) == {"status": "error", "message": message, "circuit_state": "closed"}
    assert breaker.failure_count == 1
    assert abs(time.time() - (breaker.last_failure_time or 0)) < 60
    assert breaker.call(refused)["circuit_state"] == "open"
    assert (breaker.state, breaker.failure_count) == ("open", 2)
    assert breaker.call(divmod, 7, 3) == {
        "status": "error",
        "message": "Circuit breaker open, failing fast. Retry after 0s",
        "circuit_state": "open",
    }
    wait_until(lambda: breaker.state == "half-open")
    assert breaker.call(divmod, 7, 3) == (2, 1)
    assert state_of(breaker) == ("closed", 0, None)


def test_call__says_when_to_come_back() -> None:
    assert opened(timeout=45).call(bool)["message"].endswith("Retry after 45s")


def test_call__beside_a_trial_says_that_it_runs() -> None:
    breaker = opened(timeout=0.05)
    wait_until(lambda: breaker.state == "half-open")
    assert breaker.call(lambda: breaker.call(bool)) == {
        "status": "error",
        "message": "Circuit breaker half-open, failing fast. A trial call is running",
        "circuit_state": "half-open",
    }
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", [TimeoutError, OSError, ConnectionError, socket.timeout])
def test_call__failures(error: type[Exception]) -> None:
    def fail() -> None:
        raise error("no route")

    assert CircuitBreaker().call(fail)["message"] == "Service unavailable: no route"


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError])
def test_call__other_exceptions_pass_and_do_not_count(error: type[Exception]) -> None:
    def fail() -> None:
        raise error("a bug")

    breaker = CircuitBreaker(failure_threshold=1)
    with pytest.raises(error):
        breaker.call(fail)
    assert (breaker.state, breaker.failure_count) == ("closed", 0)


def test_call__async_functions() -> None:
    async def answer(number: int) -> int:
        if number < 0:
            raise ConnectionError("no")
        return number

    breaker = CircuitBreaker(failure_threshold=1)
    with pytest.raises(TypeError, match="acall"):
        breaker.call(answer, 1)
    assert asyncio.run(breaker.acall(answer, 7)) == 7
    assert asyncio.run(breaker.acall(answer, -1))["message"] == "Service unavailable: no"
    assert asyncio.run(breaker.acall(answer, 7))["circuit_state"] == "open"


def test_wait__as_long_each_time() -> None:
    breaker = CircuitBreaker(1, 0.1)
    for _ in range(4):
        assert breaker.call(refused)["message"].startswith("Service unavailable")
        wait_until(lambda: breaker.state == "half-open", 5)


@pytest.mark.parametrize("arguments", [(0, 30), (3, 0), (3, -1)])
def test_arguments__wrong(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"failures|wait"):
        CircuitBreaker(*arguments)


# What is set


def test_set__last_failure_long_ago_allows_a_trial() -> None:
    breaker = opened()
    breaker.last_failure_time = time.time() - 61
    assert breaker.call(divmod, 7, 3) == (2, 1)
    assert state_of(breaker) == ("closed", 0, None)
    # Closed as at the start: it takes as many failures again, and waits in full.
    breaker.call(refused)
    assert breaker.state == "closed"
    assert breaker.call(refused)["circuit_state"] == "open"
    assert breaker.call(bool)["message"].endswith("Retry after 60s")


def test_set__failed_trial_waits_in_full() -> None:
    breaker = opened()
    breaker.last_failure_time = time.time() - 61
    assert breaker.call(refused)["circuit_state"] == "open"
    assert breaker.call(bool)["message"].endswith("Retry after 60s")


def test_set__exception_of_a_trial_leaves_it_to_the_next() -> None:
    breaker = opened()
    breaker.state = "half-open"
    with pytest.raises(ZeroDivisionError):
        breaker.call(divmod, 1, 0)
    assert breaker.call(divmod, 7, 3) == (2, 1)


def test_set__what_is_left_of_the_wait() -> None:
    breaker = opened()
    breaker.last_failure_time = time.time() - 40
    assert breaker.call(bool)["message"].endswith(("Retry after 20s", "Retry after 19s"))
    assert breaker.state == "open"


@pytest.mark.parametrize("order", ["state first", "time first"])
def test_set__open_by_hand(order: str) -> None:
    breaker = CircuitBreaker(3, 60)
    if order == "time first":
        breaker.last_failure_time = time.time()
    breaker.state = "open"
    if order == "state first":
        breaker.last_failure_time = time.time()
    assert breaker.state == "open"
    assert breaker.call(bool)["circuit_state"] == "open"
    breaker.state = "closed"
    assert breaker.call(divmod, 7, 3) == (2, 1)


def test_set__failure_count() -> None:
    breaker = CircuitBreaker(3, 60)
    breaker.failure_count = 2
    assert (breaker.state, breaker.failure_count) == ("closed", 2)
    assert breaker.call(refused)["circuit_state"] == "open"
    assert breaker.failure_count == 3
    breaker.failure_count, breaker.state, breaker.last_failure_time = 0, "closed", None
    assert (breaker.state, breaker.failure_count, breaker.call(divmod, 7, 3)) == ("closed", 0, (2, 1))


def test_set__unknown_state() -> None:
    with pytest.raises(ValueError, match="'broken'"):
        CircuitBreaker().state = "broken"  # type: ignore[assignment]


# Those of the project's engine


@pytest.fixture
def no_broker(settings: Any) -> Any:
    with socket.socket() as held:  # bound and not listening: a connection is refused
        held.bind(("127.0.0.1", 0))
        settings.MQTT_CONFIG = {"BROKER_ADDRESS": "127.0.0.1", "BROKER_PORT": held.getsockname()[1]}
        reset()
        yield
    reset()
    mqtt_circuit_breaker.reset()


def test_bound__follows_the_engine(no_broker: None) -> None:
    assert state_of(mqtt_circuit_breaker) == ("closed", 0, None)
    for _ in range(3):
        result = check_mqtt_broker()
        assert result["details"]["connection_status"] == "failed"
    assert get_engine().breaker("mqtt_broker").state == "open"
    assert mqtt_circuit_breaker.state == "open"
    assert abs(time.time() - (mqtt_circuit_breaker.last_failure_time or 0)) < 10
    assert mqtt_circuit_breaker.call(divmod, 7, 3)["circuit_state"] == "open"
    assert asyncio.run(mqtt_circuit_breaker.acall(asyncio.sleep, 0, 7))["circuit_state"] == "open"
    mqtt_circuit_breaker.state = "closed"
    assert get_engine().breaker("mqtt_broker").state == "closed"
    assert mqtt_circuit_breaker.call(divmod, 7, 3) == (2, 1)


def test_bound__set_open_refuses_the_check(no_broker: None) -> None:
    mqtt_circuit_breaker.state = "open"
    mqtt_circuit_breaker.last_failure_time = time.time()
    assert "Circuit breaker open" in check_mqtt_broker()["message"]
    assert get_engine().breaker("mqtt_broker").state == "closed"
    mqtt_circuit_breaker.last_failure_time = time.time() - 31
    assert "Circuit breaker open" not in check_mqtt_broker()["message"]


def test_bound__without_a_breaker_of_the_engine(settings: Any) -> None:
    settings.LIFESIGNS = {"DISABLED": ["aws_ses"]}
    assert ses_circuit_breaker.state == "closed"
    assert ses_circuit_breaker.call(divmod, 7, 3) == (2, 1)


@pytest.mark.parametrize(
    ("breaker", "wait"),
    [
        (mqtt_circuit_breaker, 30),
        (ses_circuit_breaker, 60),
        (gmaps_circuit_breaker, 60),
        (openai_circuit_breaker, 60),
        (anthropic_circuit_breaker, 60),
    ],
)
def test_bound__as_it_was(breaker: CircuitBreaker, wait: float) -> None:
    assert (breaker.failure_threshold, breaker.timeout_seconds) == (3, wait)
