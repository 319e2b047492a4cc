"""What each action of a Django project does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.signals import request_started
from django.db import connections

from django_lifesigns.actions import celery_pool
from django_lifesigns.actions.celery_pool import quarters
from django_lifesigns.actions.kinds import made
from django_lifesigns.actions.stale_connections import DISPATCH, StaleConnections
from lifesigns import CheckFailed


def value() -> str:
    return "made"


def nothing() -> None:
    """Makes nothing."""


def refuses() -> bool:
    return False


async def waits() -> str:
    return "awaited"


HERE = __name__


@pytest.fixture
def unwatched() -> Iterator[None]:
    yield
    request_started.disconnect(dispatch_uid=DISPATCH)


def test_warm_cache__sets_keys_and_reads_them_back() -> None:
    keys = {"lifesigns-warm-a": f"{HERE}.value", "lifesigns-warm-b": f"{HERE}.value"}
    try:
        assert made("warm_cache", {"keys": keys})() == "set 2 keys of the cache 'default'"
        assert [caches["default"].get(key) for key in keys] == ["made", "made"]
        with pytest.raises(CheckFailed, match="1 of 1 keys are not there"):
            made("warm_cache", {"keys": {"lifesigns-warm-c": f"{HERE}.nothing"}})()
    finally:
        caches["default"].delete_many([*keys, "lifesigns-warm-c"])


def test_callables__what_they_return_says_what_they_did() -> None:
    assert made(f"{HERE}.value", {})() == "made"
    assert made(f"{HERE}.nothing", {})() == f"{HERE}.nothing has run"
    assert made(f"{HERE}.waits", {})() == "awaited"
    with pytest.raises(CheckFailed, match="returned False"):
        made(f"{HERE}.refuses", {})()


def test_management_command__runs() -> None:
    assert made("management_command", {"name": "check", "args": ["--tag", "urls"]})() == "manage.py check has run"


@pytest.mark.django_db
@pytest.mark.usefixtures("unwatched")
def test_stale_connections__each_thread_closes_its_own_with_its_next_request() -> None:
    ready, acted = threading.Event(), threading.Event()
    seen: list[Any] = []

    def serve() -> None:
        connection = connections.create_connection("default")
        # Else Django itself closes it with each request.
        connection.settings_dict = {**connection.settings_dict, "CONN_MAX_AGE": None}
        connections["default"] = connection
        connection.connect()
        ready.set()
        acted.wait(30)
        seen.append(connection.connection)
        request_started.send(sender=None)
        seen.append(connection.connection)
        connection.connect()
        request_started.send(sender=None)
        seen.append(connection.connection)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(30)
    StaleConnections()()
    acted.set()
    thread.join(30)
    before, after, kept = seen
    assert before is not None, "no other thread closes it"
    assert after is None
    assert kept is not None, "once"


@pytest.mark.parametrize(("number", "most"), [(1, 1), (3, 1), (4, 1), (8, 2), (9, 2), (100, 25)])
def test_celery_pool__a_quarter_at_a_time(number: int, most: int) -> None:
    batches = list(quarters([str(index) for index in range(number)]))
    assert max(map(len, batches)) == most
    assert [name for batch in batches for name in batch] == [str(index) for index in range(number)]


@pytest.mark.parametrize(
    ("size", "before", "after", "expected"),
    [
        (2, ["a", "b"], ["a", "b"], {"a", "b"}),
        (2, ["a", "b"], ["b", "c"], None),  # one has ended
        (2, ["a", "b"], [], None),
        (2, ["a", "b"], None, None),  # it did not answer this once
        (3, ["a", "b"], ["a", "b"], None),  # a process is free
        (None, ["a", "b"], ["a", "b"], None),
        (2, [], [], None),
    ],
)
def test_celery_pool__is_stuck_where_no_process_is_free_and_nothing_moves(
    size: int | None, before: list[str], after: list[str] | None, expected: set[str] | None, monkeypatch: Any
) -> None:
    monkeypatch.setattr(celery_pool, "STILL_SECONDS", 0.0)
    answers = [{"w": [{"id": task} for task in tasks]} if tasks is not None else None for tasks in (before, after)]
    inspect = SimpleNamespace(stats=lambda: {"w": {"pool": {"max-concurrency": size}}}, active=lambda: answers.pop(0))
    app = SimpleNamespace(control=SimpleNamespace(inspect=lambda **_: inspect))
    assert celery_pool._stuck(app, ["w"]) == ({} if expected is None else {"w": expected})
