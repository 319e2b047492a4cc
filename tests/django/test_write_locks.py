"""What reads before it writes, on SQLite: it waits for another process that writes, and is not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django.projects import run_json, sqlite

# The other process has the database's lock for a second, which begins before the statements and ends by itself.
PROGRAM = """
import json, sqlite3, threading, time
from django.core.management import call_command
from django.db import connection

def held():
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, other.execute, ["COMMIT"])
    timer.start()
    return timer

call_command("migrate", {before!r}, verbosity=0)
{prepare}
holder = held()
{statements}
is_waited_for = not holder.is_alive()
holder.join()
print(json.dumps(is_waited_for))
"""
MIGRATE = 'call_command("migrate", "lifesigns", verbosity=0)'
ACTION = """
from django_lifesigns.actions.exchange import switch, write
names = ["id", "name", "action", "check", "cause", "author", "reason", "state", "text", "process"]
entry = {**dict.fromkeys(names, "x"), "fence": 1, "at": time.time(), "ended_at": None, "revision": 1}
"""
# Of this scope, which has lost what it knew of it.
INCIDENT = """
from django.utils import timezone
from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.models import Incident
Incident.objects.create(id="1", application="shop", instance="us", check_name="x", since=timezone.now())
"""
ROLL_UP = """
from collections import deque
from types import SimpleNamespace
from django_lifesigns.history.rollups.writer import roll_up
from django_lifesigns.history.saving import save
samples = [{"x": {"epoch": "e", "since": time.time() - 60, "at": time.time()}}]
done = []
rollups = SimpleNamespace(is_pending=True, write=lambda using: roll_up(samples, using), done=done.append)
"""


@pytest.mark.parametrize(
    ("before", "prepare", "statements"),
    [
        pytest.param("contenttypes", "", MIGRATE, id="migrate"),
        pytest.param("lifesigns", 'call_command("migrate", "lifesigns", "0005", verbosity=0)', MIGRATE, id="field"),
        pytest.param("lifesigns", "", 'call_command("migrate", "lifesigns", "zero", verbosity=0)', id="back"),
        pytest.param("lifesigns", ACTION, "write([entry], 'shop')", id="actions"),
        pytest.param("lifesigns", ACTION, "switch('x', is_on=False, author='me')", id="switch"),
        pytest.param("lifesigns", INCIDENT, "exchange([], [], application='shop', instance='us')", id="incidents"),
        pytest.param("lifesigns", ROLL_UP, "save(deque(), rollups); assert done", id="rollups"),
    ],
)
def test_reads_before_it_writes__waits_for_who_writes(
    before: str, prepare: str, statements: str, tmp_path: Path
) -> None:
    program = PROGRAM.format(before=before, prepare=prepare, statements=statements)
    assert run_json(tmp_path, {"DATABASES": sqlite(tmp_path)}, program) is True
