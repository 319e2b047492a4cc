"""Probes and the agents of application performance monitoring, with the parts of their interfaces that are used."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from django.test import Client

from django_lifesigns.http import apm

pytestmark = pytest.mark.django_db(transaction=True)


class Agent(ModuleType):
    """All four agents in one, with a request under way or not."""

    def __init__(self, *, busy: bool) -> None:
        super().__init__("agent")
        self.tracer = self
        self.transaction = self if busy else None
        self.ignored = 0
        self.sampled = True
        self.tags: list[str] = []

    def ignore_transaction(self) -> None:
        self.ignored += 1

    def get_current_scope(self) -> Agent:
        return self

    def current_root_span(self) -> Agent | None:
        return self.transaction

    def set_tag(self, name: str) -> None:
        self.tags.append(name)


@pytest.fixture(params=[True, False], ids=["busy", "idle"])
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Agent:
    loaded = Agent(busy=request.param)
    for name in apm.SWITCHES:
        monkeypatch.setitem(sys.modules, name, loaded)
    return loaded


@pytest.mark.parametrize(
    "middleware", [[], ["django_lifesigns.middleware.ProbeMiddleware"]], ids=["view", "middleware"]
)
def test_probe__is_dropped(settings: Any, agent: Agent, middleware: list[str]) -> None:
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]
    assert Client().get("/alive/").status_code == 200
    assert agent.ignored == 2
    assert agent.sampled is (agent.transaction is None)
    assert agent.tags == ["manual.drop"] * (agent.transaction is not None)


def test_probe__that_fails_is_kept(settings: Any, agent: Agent) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: False}}
    assert Client().get("/health/mine/").status_code == 503
    assert (agent.ignored, agent.sampled, agent.tags) == (0, True, [])


def test_others__are_kept(agent: Agent) -> None:
    assert Client().get("/admin/login/").status_code == 200
    assert agent.ignored == 0
