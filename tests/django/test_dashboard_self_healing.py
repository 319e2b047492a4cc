"""Self-healing on the dashboard: what acted, would have acted, was stopped, and the kill switch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.dashboard.self_healing import SHOWN, actions_entry, latest_runs
from django_lifesigns.models import ActionRun
from django_lifesigns.runtime import engine as engine_module
from django_lifesigns.runtime import sharing
from django_lifesigns.runtime.engine import get_runtime
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-of-some-length"
URL = "/health/dashboard/"
HOSTILE = "<script>alert(1)</script>"
WHEN = {"check": "cache", "status": "error", "runs": 2, "seconds": 0}


def configured(*actions: tuple[str, str | None, str | None], off: str | None = None) -> dict[str, Any]:
    """Actions by name, the check that starts them, and the next rung."""
    common = {"action": "warm_cache", "dry_run": True, "disabled_by": None}
    found = [
        {**common, "name": name, "when": {"check": check} if check else None, "then": then}
        for name, check, then in actions
    ]
    return {"off": off, "actions": found}


def entry(identifier: str, name: str = "warm", check: str | None = "cache", at: float = 0.0, **more: Any) -> Any:
    found = {"id": identifier, "name": name, "check": check, "cause": "check", "author": "", "reason": "it failed"}
    return {**found, "state": "would_act", "text": "", "process": "host:1", "at": at, "ended_at": None, **more}


def test_entry__of_a_check_has_its_ladder_and_its_runs() -> None:
    ladder = configured(("warm", "cache", "reload"), ("reload", None, "warm"), ("other", "db", None))
    log = [entry("1", at=1.0), entry("2", "other", "db", at=2.0), entry("3", "reload", at=3.0)]
    whole = actions_entry(ladder, log)
    assert [one["name"] for one in whole["actions"]] == ["warm", "reload", "other"]
    assert [one["id"] for one in whole["runs"]] == ["3", "2", "1"]
    own = actions_entry(ladder, log, "cache")
    assert [one["name"] for one in own["actions"]] == ["warm", "reload"]
    assert [one["id"] for one in own["runs"]] == ["3", "1"]
    assert [one["last"] and one["last"]["id"] for one in own["actions"]] == ["1", "3"]
    assert actions_entry(ladder, log, "none") == {"off": None, "actions": [], "runs": []}


def test_entry__of_the_same_run_the_newest_is_shown() -> None:
    log = [entry("1", at=1.0, state="running"), entry("1", at=1.0, state="healed", ended_at=9.0)]
    (run,) = actions_entry(configured(("warm", "cache", None)), log)["runs"]
    assert (run["state"], run["at"], run["ended_at"]) == ("healed", "1970-01-01T00:00:01Z", "1970-01-01T00:00:09Z")


def test_entry__is_bounded_and_the_last_run_of_each_check_known() -> None:
    log = [entry(str(number), check=f"check_{number % 3}", at=float(number)) for number in range(100)]
    assert len(actions_entry(configured(), log)["runs"]) == SHOWN
    log.append(entry("by hand", check=None, at=100.0))
    assert {name: run["id"] for name, run in latest_runs(log).items()} == {
        "check_0": "99",
        "check_1": "97",
        "check_2": "98",
    }


@pytest.fixture
def broken(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[bool]]:
    """As in a worker: empty while the check is well."""
    found: list[bool] = []
    for place in (engine_module, sharing):
        monkeypatch.setattr(place, "is_under_test", lambda: False)

    def check() -> dict[str, str]:
        return {"status": "error" if found else "healthy", "message": HOSTILE}

    action = {"action": "warm_cache", "arguments": {"callable": "tests.django.test_actions_tables.warm"}, "when": WHEN}
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "CHECKS": {"cache": {"check": check, "ttl": 0.1}, "well": lambda: True},
        "DISABLED": list(CATALOGUE),
        "STORE_PATH": str(tmp_path),
        "ACTIONS": {"warm": {**action, "then": "again"}, "again": {**action, "when": None}},
    }
    yield found
    engine_module.reset()


@pytest.fixture
def known() -> Client:
    return Client(headers={"authorization": f"Bearer {TOKEN}"})


def data(client: Client, url: str = URL) -> Any:
    return client.get(url, {"format": "json"}).json()


def test_dry_run__is_shown_with_why_on_both_pages(broken: list[bool], known: Client) -> None:
    engine = get_runtime().engine
    assert data(known)["actions"]["runs"] == []
    engine.start_background()
    wait_until(lambda: engine.has_started(engine.run()["status"] == "healthy"))
    broken.append(True)
    wait_until(lambda: [one["state"] for one in engine.action_log()] == ["would_act"], 60)
    found = data(known)
    (run,) = found["actions"]["runs"]
    assert (run["name"], run["check"], run["state"]) == ("warm", "cache", "would_act")
    assert found["checks"][0]["last_action"] == run
    assert [one["dry_run"] for one in found["actions"]["actions"]] == [True, True]
    text = known.get(URL).content.decode()
    assert text.count("would have acted (dry run)") == 3  # of the check, of the action, and in the list of runs
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert HOSTILE not in text
    assert data(known, f"{URL}cache/")["actions"]["runs"] == [run]
    assert "would have acted (dry run)" in known.get(f"{URL}cache/").content.decode()
    # No action is meant for it.
    assert data(known, f"{URL}well/")["actions"]["actions"] == []
    assert 'id="actions"' not in known.get(f"{URL}well/").content.decode()


def test_switches__are_shown(broken: list[bool], known: Client) -> None:
    engine = get_runtime().engine
    engine.switch_action("warm", False, f"anna {HOSTILE}")
    engine.switch_action(None, False, "bert")
    assert data(known)["actions"]["off"] == "bert"
    for url in (URL, f"{URL}cache/"):
        text = known.get(url).content.decode()
        assert "all are switched off by bert" in text
        assert "disabled by anna &lt;script&gt;" in text


def test_runs_of_other_hosts__are_on_the_page_of_the_check(broken: list[bool], known: Client) -> None:
    application = get_runtime().alerts_as
    for number, (app, check) in enumerate([(application, "cache"), ("another", "cache"), (application, "well")]):
        ActionRun.objects.create(
            id=str(number),
            application=app,
            name="warm",
            check_name=check,
            cause="check",
            state="healed" if number else "of a later version",
            reason=f"because {HOSTILE}",
            process="far:7",
            started_at=timezone.now(),
        )
    (run,) = data(known, f"{URL}cache/")["actions"]["runs"]
    assert (run["id"], run["process"], run["state"]) == ("0", "far:7", "of a later version")
    text = known.get(f"{URL}cache/").content.decode()
    assert "of a later version" in text
    assert HOSTILE not in text


def test_queries__the_page_of_all_makes_none_for_actions(broken: list[bool], known: Client, settings: Any) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert known.get(URL).status_code == 200
        return len(captured)

    with_actions = count()
    settings.LIFESIGNS = {key: value for key, value in settings.LIFESIGNS.items() if key != "ACTIONS"}
    assert count() == with_actions
    assert data(known)["actions"] is None


def test_table_that_is_missing__costs_the_history_and_nothing_else(broken: list[bool], known: Client) -> None:
    get_runtime().engine.run()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lifesigns_action RENAME TO elsewhere")
    try:
        started = time.monotonic()
        found = data(known, f"{URL}cache/")
        assert found["history_error"]
        assert found["check"]["status"] == "healthy"
        assert time.monotonic() - started < 10
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO lifesigns_action")
