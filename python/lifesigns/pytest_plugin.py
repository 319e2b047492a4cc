"""The pytest plugin: an engine, fake results and a frozen clock as fixtures, and everything reset after each test."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifesigns.engine import Engine
    from lifesigns.frozen import FrozenClock


@pytest.fixture
def lifesigns_engine() -> Engine:
    """Return an engine without checks. Override it to return the application's own."""
    from lifesigns import Engine

    return Engine()


@pytest.fixture
def lifesigns_fake(lifesigns_engine: Engine) -> Callable[..., None]:
    """Return a function that has a check find a given result: ``lifesigns_fake("database", "error", "No route")``.

    Of the engine `lifesigns_engine`, or another as ``engine=``; the other arguments are those of
    `lifesigns.testing.fake_result`.
    """
    from lifesigns.testing import fake

    def fake_check(name: str, *arguments: Any, engine: Engine | None = None, **more: Any) -> None:
        fake(engine or lifesigns_engine, name, *arguments, **more)

    return fake_check


@pytest.fixture
def lifesigns_clock() -> Iterator[FrozenClock]:
    """Freeze the time that reports and results show; ``lifesigns_clock.advance(30)`` lets it pass."""
    from lifesigns.testing import frozen_clock

    with frozen_clock() as clock:
        yield clock


@pytest.fixture(autouse=True)
def _lifesigns_reset(request: pytest.FixtureRequest) -> Iterator[None]:
    """Undo what a test did with `lifesigns.testing`; stop the probe servers and forget the checks that it made."""
    checks, probe_server = _loaded("checks"), _loaded("probe_server")
    declared = dict(checks.DECLARED) if checks else {}
    refused = set(checks.REFUSED) if checks else set()
    serving = set(probe_server._serving) if probe_server else set()
    yield
    if testing := _loaded("testing"):
        testing.reset()
    probe_server = _loaded("probe_server")
    for server in set(probe_server._serving) - serving if probe_server else ():
        server.close()
    checks = _loaded("checks")
    for name, check in list(checks.DECLARED.items()) if checks else ():
        # A module that a test imports declares its checks once for the whole run.
        if name not in declared and getattr(check.check, "__module__", None) == request.module.__name__:
            del checks.DECLARED[name]
    for name in set(checks.REFUSED) - refused if checks else ():
        del checks.REFUSED[name]


def _loaded(name: str) -> Any:
    return sys.modules.get(f"lifesigns.{name}")
