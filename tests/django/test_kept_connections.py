"""Connections that are kept between the turns of background work: on any thread, and no longer than they are good."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.django.projects import run_json
from tests.services import Postgres

pytestmark = pytest.mark.services

# Each turn on a thread of its own, as the engine may have it.
PROGRAM = """
import json, os, threading, time
import django
django.setup()
from django.db import connection
from django_lifesigns.checks import kept_connections
from django_lifesigns.checks.kept_connections import close_kept, keeping_connections

NAME = connection.settings_dict["OPTIONS"]["application_name"]

def session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def turn(function=session):
    found = []
    def run():
        try:
            found.append(keeping_connections(function)())
        except ZeroDivisionError:
            found.append(None)
        assert connection.connection is None
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]

def fail():
    session()
    1 / 0

def sessions():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [NAME])
        return cursor.fetchone()[0] - 1

def settle(expected):
    end = time.monotonic() + 20
    while sessions() != expected and time.monotonic() < end:
        time.sleep(0.02)
    return sessions()

{body}
"""


@pytest.fixture
def told(postgres: Postgres, tmp_path: Path) -> Any:
    """Runs a body in a project, and returns what it prints as JSON."""
    database: dict[str, Any] = postgres.database(engine="django.db.backends.postgresql")
    # Other programs of the tests use the same server.
    database["OPTIONS"] = {**database.get("OPTIONS", {}), "application_name": f"kept-{uuid4().hex}"}
    return lambda body: run_json(tmp_path, {"DATABASES": {"default": database}}, PROGRAM.replace("{body}", body))


def test_turns_of_several_threads_have_one_session(told: Any) -> None:
    assert told("print(json.dumps([len({turn() for _ in range(5)}), settle(1)]))") == [1, 1]


def test_turn_that_fails_leaves_no_session(told: Any) -> None:
    assert told("first = turn(); turn(fail); print(json.dumps([settle(0), turn() != first]))") == [0, True]


def test_session_that_the_server_has_ended_is_replaced(told: Any) -> None:
    body = """
first = turn()
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_terminate_backend(%s)", [first])
settle(0)
print(json.dumps(turn() != first))
"""
    assert told(body) is True


def test_session_left_within_a_transaction_is_closed(told: Any) -> None:
    body = """
def leave():
    connection.set_autocommit(False)
    return session()
turn(leave)
print(json.dumps(settle(0)))
"""
    assert told(body) == 0


def test_sessions_are_closed_once_idle_or_old(told: Any) -> None:
    body = """
first = turn()
close_kept(60)
kept = settle(1)
kept_connections.AGE_SECONDS = 0
old = turn() == first
close_kept()
print(json.dumps([kept, old, settle(0)]))
"""
    assert told(body) == [1, False, 0]


def test_forked_child_leaves_the_session_to_its_parent(told: Any) -> None:
    body = """
first = turn()
connection.close()
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.write(writing, str(turn()).encode())
    os._exit(0)
os.waitpid(child, 0)
print(json.dumps([int(os.read(reading, 99)) != first, turn() == first]))
"""
    assert told(body) == [True, True]
