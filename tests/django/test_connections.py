"""What Python checks open is closed, in the threads in which they opened it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection, connections

from django_lifesigns.checks.connections import returning_connections
from tests.django.projects import ROOT


def in_a_thread(function: Callable[[], Any]) -> Any:
    """As the engine does: on a thread without connections."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def use_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def use_database_and_fail() -> None:
    use_database()
    raise DatabaseError


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads whose connections were closed."""
    found: list[int] = []
    close_all = connections.close_all

    def close() -> None:
        found.append(threading.get_ident())
        close_all()

    monkeypatch.setattr(connections, "close_all", close)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("check", [use_database, use_database_and_fail])
def test_connections__closed_in_the_thread_of_the_check(check: Callable[[], None], closed: list[int]) -> None:
    def run() -> int:
        if check is use_database_and_fail:
            with pytest.raises(DatabaseError):
                returning_connections(check)()
        else:
            returning_connections(check)()
        return threading.get_ident()

    assert in_a_thread(run) in closed


@pytest.mark.django_db(transaction=True)
def test_connections__closed_where_async_code_used_them(closed: list[int]) -> None:
    used: list[int] = []

    async def check() -> None:
        await sync_to_async(lambda: used.append(threading.get_ident()))()

    in_a_thread(lambda: asyncio.run(returning_connections(check)()))
    assert used
    assert used[0] in closed


def test_connections__async_checks_do_not_share_a_thread() -> None:
    """One that hangs in the ORM must not hold up the ORM's part of another."""
    release, reached = threading.Event(), threading.Event()

    async def hangs() -> None:
        reached.set()
        await sync_to_async(release.wait)(10)

    async def works() -> bool:
        return await sync_to_async(lambda: True)()

    hanging = threading.Thread(target=lambda: asyncio.run(returning_connections(hangs)()))
    hanging.start()
    try:
        assert reached.wait(5)
        run = returning_connections(works)
        assert in_a_thread(lambda: asyncio.run(asyncio.wait_for(run(), 5)))
    finally:
        release.set()
        hanging.join()


def test_app__loading_it_starts_nothing() -> None:
    program = """
import django, threading
django.setup()
from django_lifesigns.runtime import engine
assert threading.active_count() == 1
assert engine._current == {}
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.django.settings"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=ROOT, timeout=60)
