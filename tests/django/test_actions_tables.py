"""What actions did, in the table and the admin; switches, from the admin and the command to the engine."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_lifesigns.actions import exchange
from django_lifesigns.actions import mirror as module
from django_lifesigns.actions.mirror import ActionMirror
from django_lifesigns.models import ActionRun, ActionSwitch
from django_lifesigns.runtime import engine as runtime
from django_lifesigns.runtime import sharing
from django_lifesigns.runtime.engine import get_engine, reset
from lifesigns import Engine
from tests.django import settings as plain
from tests.services import wait_until

pytestmark = pytest.mark.django_db


def warm() -> str:
    return "3 keys"


def run_by_hand(engine: Engine, name: str = "warm") -> None:
    before = len(engine.action_log())
    engine.run_action(name, "anna")
    engine.resume()
    wait_until(lambda: [entry["state"] for entry in engine.action_log()][before:] == ["done"])


@pytest.fixture
def engine() -> Engine:
    return Engine(log=False, application="shop", actions={"warm": {"action": warm}, "other": {"action": warm}})


def test_run_is_written_once_and_the_table_is_left_alone_then(engine: Engine) -> None:
    mirror = ActionMirror(engine, "shop")
    run_by_hand(engine)
    mirror.sync()
    row = ActionRun.objects.get()
    assert (row.name, row.application, row.state, row.message) == ("warm", "shop", "done", "3 keys")
    assert (row.cause, row.author, row.fence, row.check_name) == ("person", "anna", 1, "")
    assert row.ended_at is not None
    with CaptureQueriesContext(connection) as queries:
        mirror.sync()
    assert len(queries) == 0
    (entry,) = engine.action_log()
    assert entry["confirmed"] == entry["revision"] == row.revision


def test_older_entry_of_another_process_overwrites_nothing(engine: Engine) -> None:
    run_by_hand(engine)
    (entry,) = engine.action_log()
    assert exchange.write([entry], "shop") == {entry["id"]: entry["revision"]}
    late = {**entry, "revision": 1, "state": "running"}
    assert exchange.write([late], "shop") == {entry["id"]: entry["revision"]}
    assert ActionRun.objects.get().state == "done"


def test_switches_of_the_table_govern_the_engine(engine: Engine) -> None:
    exchange.switch("*", is_on=False, author="anna")
    exchange.switch("warm", is_on=False, author="bert")
    exchange.switch("gone", is_on=False, author="bert")
    mirror = ActionMirror(engine, "shop")
    mirror.sync()
    assert engine.actions()["off"] == "anna"
    assert {one["name"]: one["disabled_by"] for one in engine.actions()["actions"]} == {"warm": "bert", "other": None}
    exchange.switch("*", is_on=True, author="anna")
    mirror._next_look = 0.0
    mirror.sync()
    assert engine.actions()["off"] is None
    # What was switched off since, where the tables could not be written, stays so for a process that starts now.
    engine.switch_action(None, False, "carl")
    ActionMirror(engine, "shop").sync()
    assert engine.actions()["off"] == "carl"


def test_tables_that_cannot_be_written_are_said_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("no such table: lifesigns_action")

    monkeypatch.setattr(module, "write", fail)
    mirror = ActionMirror(engine, "shop")
    run_by_hand(engine)
    mirror.sync()
    mirror.sync()
    assert caplog.text.count("actions: cannot be written (OperationalError; run migrate?)") == 1


def test_admin__shows_runs_and_turns_switches(engine: Engine) -> None:
    run_by_hand(engine)
    exchange.write(engine.action_log(), "shop")
    User.objects.create_superuser("ann")
    client = Client(headers={"host": "testserver"})
    client.force_login(User.objects.get())
    listed = client.get("/admin/lifesigns/actionrun/").content.decode()
    assert "3 keys" in listed
    (row,) = ActionRun.objects.all()
    assert client.get(f"/admin/lifesigns/actionrun/{row.pk}/change/").status_code == 200
    assert client.get("/admin/lifesigns/actionrun/add/").status_code == 403
    client.post("/admin/lifesigns/actionswitch/add/", {"name": "*"})
    switch = ActionSwitch.objects.get()
    assert (switch.name, switch.is_on, switch.author) == ("*", False, "ann")
    client.post("/admin/lifesigns/actionswitch/*/change/", {"is_on": "on"})
    switch.refresh_from_db()
    assert switch.is_on


@pytest.fixture
def configured(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """As in a worker, with a store and two actions."""
    for place in (runtime, sharing):
        monkeypatch.setattr(place, "is_under_test", lambda: False)
    action = {"action": f"{__name__}.warm", "when": {"check": "default_cache"}}
    settings.LIFESIGNS = {**plain.LIFESIGNS, "STORE_PATH": str(tmp_path), "ACTIONS": {"warm": action, "other": action}}
    yield
    reset()


def call(*arguments: str) -> str:
    out = StringIO()
    call_command("health_action", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_command__list_run_disable_and_enable(configured: None) -> None:
    assert "dry run" in call("list")
    assert call("run", "warm", "--author", "anna").startswith("done: warm has run: 3 keys")
    shown = json.loads(call("list", "--format", "json"))
    assert [entry["author"] for entry in shown["log"]] == ["anna"]
    assert call("disable", "warm", "--author", "bert") == "warm disabled\n"
    assert "disabled by bert" in call("list")
    assert ActionSwitch.objects.get(name="warm").author == "bert"
    with pytest.raises(SystemExit):
        call("run", "warm")
    assert call("disable", "--author", "bert") == "All actions disabled\n"
    assert "Switched off by bert" in call("list")
    assert json.loads(call("enable", "--format", "json")) == {"name": "*", "is_on": True}
    assert call("enable", "warm") == "warm enabled\n"
    assert get_engine().actions()["off"] is None
    with pytest.raises(CommandError, match=r"Unknown action 'wam'\. Did you mean 'warm'"):
        call("run", "wam")


def test_command__without_actions_says_so(settings: Any) -> None:
    with pytest.raises(CommandError, match="names none that can be used"):
        call("list")
