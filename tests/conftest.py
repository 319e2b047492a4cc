"""Fixtures of all tests: real services, each started when a test first uses it, and none left at the end."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.remote import Producer

from lifesigns import redaction
from tests import services
from tests.order import Scheduling, ordered
from tests.services import wait_until, workspace

__all__ = ["wait_until"]

SERVICES = {
    "session_stack",
    "stack",
    "postgres",
    "redis_server",
    "mosquitto",
    "smtp_server",
    "http_apis",
    "nsd",
    "grpc_server",
    "rabbitmq",
    "chromium",
}


# What asserts on time or on the load of the machine: by itself, or, where the bounds are wide, beside one other.
ALONE = (
    "tests/benches/test_cadence.py::test_pods",
    "tests/django/test_load.py",
    "tests/process/test_thread_limit.py",
)
BESIDE_ONE = (
    "tests/benches/test_cadence.py::test_scale",
    "tests/benches/test_compare.py::test_compare",
    "tests/faults/",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("matrix", "files and folders whose tests run on several Pythons", type="args")
    parser.addini("once", "files of these that say the same on each", type="args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: runs when nothing else does (set for what measures time or load)")
    config.addinivalue_line("markers", "beside_one: runs beside one other at most (set for wide bounds of time)")
    config.addinivalue_line("markers", "services: starts real servers (set for every test that uses one)")
    config.addinivalue_line("markers", "matrix: needs no server; run by `make test-matrix` (set by the ini option)")
    # A shell has what it starts in the background ignore Ctrl-C, and every program that a test starts inherits that:
    # those that a test ends by it would continue for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    matrix, once = (tuple(config.getini(name)) for name in ("matrix", "once"))
    for item in items:
        if isinstance(item, pytest.Function) and SERVICES.intersection(item.fixturenames):
            item.add_marker("services")
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")
        if item.nodeid.startswith(BESIDE_ONE):
            item.add_marker("beside_one")
        is_of_matrix = item.nodeid.startswith(matrix) and not item.nodeid.startswith(once)
        if is_of_matrix and not any(item.iter_markers("services")):
            item.add_marker("matrix")
    items[:] = ordered(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """What is there now stays: left out, it takes each full collection of garbage a third of a second less."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_service_survives() -> Iterator[None]:
    """Set up first, so that it ends after all the others."""
    yield
    assert workspace.survivors() == []


@pytest.fixture
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No secret of another test is removed from texts, and none of this one from those of tests after it."""
    with monkeypatch.context() as patch:
        patch.setattr(redaction, "_by_source", {})
        redaction.hide([])
        yield
    redaction.hide([])


@pytest.fixture(scope="session")
def session_stack() -> Iterator[services.Stack]:
    """The services of this session, none of them started yet."""
    stack = services.Stack()
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def stack(session_stack: services.Stack) -> services.Stack:
    """All of them running; `stack.settings()` are the Django settings."""
    session_stack.start()
    return session_stack


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[services.RabbitMq]:
    """Not of the stack, which the demo starts, too: it takes 5 s to come up."""
    with services.RabbitMq(tls=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres(session_stack: services.Stack) -> services.Postgres:
    session_stack.postgres.start()
    return session_stack.postgres


@pytest.fixture(scope="session")
def redis_server(session_stack: services.Stack) -> services.Redis:
    session_stack.redis.start()
    return session_stack.redis


@pytest.fixture(scope="session")
def mosquitto(session_stack: services.Stack) -> services.Mosquitto:
    session_stack.mosquitto.start()
    return session_stack.mosquitto


@pytest.fixture(scope="session")
def smtp_server(session_stack: services.Stack) -> services.Smtp:
    session_stack.smtp.start()
    return session_stack.smtp


@pytest.fixture(scope="session")
def http_apis(session_stack: services.Stack) -> services.HttpApis:
    session_stack.http.start()
    return session_stack.http


@pytest.fixture(scope="session")
def nsd() -> Iterator[services.Nsd]:
    with services.Nsd() as server:
        yield server


@pytest.fixture(scope="session")
def grpc_server() -> Iterator[services.Grpc]:
    with services.Grpc() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[services.Chromium]:
    with services.Chromium() as browser:
        yield browser


@pytest.fixture(params=list(services.LOOKS.values()), ids=list(services.LOOKS))
def look(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A width, a colour scheme, and whether there is JavaScript: keywords of `Chromium.tab`."""
    found: dict[str, Any] = request.param
    return found


@pytest.fixture(scope="session")
def certificates() -> services.Certificates:
    return services.certificates()
