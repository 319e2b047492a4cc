"""Incidents of objectives: from an alarm of an error budget to a receiver that knows of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine, UnknownCheckError
from lifesigns.results import BudgetAlarm, Objective
from tests.alerts.receiver import Receiver
from tests.process.host import where_shared
from tests.services import wait_until

DATABASE = "objective:database"
PAGE: BudgetAlarm = {"severity": "critical", "message": "9 min of the budget of 43 min in 30 days are left (21%)."}
TICKET: BudgetAlarm = {"severity": "warning", "message": "40 min of the budget of 43 min in 30 days are left (93%)."}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def objectives(alarm: BudgetAlarm | None) -> dict[str, Objective]:
    return {"database": {"ratio": 0.999, "budget_remaining": 0.21, "burn_rates": {"1h": 20.0}, "alarm": alarm}}


def shop(channels: dict[str, Any], *, options: Any = (), check: Any = (), **alerts: Any) -> Engine:
    """An engine with a healthy check `database`."""
    settings = {"CHANNELS": channels, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1], **alerts}
    engine = Engine(default_ttl=0.2, application="shop", alerts=settings, log=False, **dict(options))
    engine.register("database", lambda: True, identity="database", runbook="https://wiki.example/db", **dict(check))
    engine.start_background()
    return engine


def of_objectives(engine: Engine) -> list[tuple[str, str, str]]:
    found = [incident for incident in engine.incidents() if incident["check"] == DATABASE]
    return [(incident["state"], incident["status"], incident["severity"]) for incident in found]


def test_alarm__opens_an_incident_that_gets_worse_and_is_resolved(receiver: Receiver) -> None:
    engine = shop({"hook": receiver.channel}, URL="https://shop.example/health/")
    engine.set_objectives(objectives(None))
    engine.set_objectives(objectives(TICKET))
    wait_until(lambda: receiver.kinds == ["triggered"])
    data = receiver.bodies[0]["data"]
    assert (data["dedup_key"], data["check"]) == (f"lifesigns/shop/{DATABASE}", DATABASE)
    assert (data["status"], data["severity"], data["message"]) == ("degraded", "warning", TICKET["message"])
    assert (data["runbook"], data["url"]) == ("https://wiki.example/db", "https://shop.example/health/")
    engine.set_objectives(objectives(PAGE))
    wait_until(lambda: receiver.kinds == ["triggered", "triggered"])
    assert (receiver.bodies[1]["data"]["severity"], receiver.bodies[1]["data"]["status"]) == ("critical", "error")
    assert of_objectives(engine) == [("firing", "error", "critical")]
    # The check itself is well.
    assert [incident["check"] for incident in engine.incidents()] == [DATABASE]
    assert engine.acknowledge(DATABASE, "anna")
    engine.set_objectives(objectives(None))
    wait_until(lambda: receiver.kinds[2:] == ["acknowledged", "resolved"], 30)
    assert receiver.bodies[-1]["data"]["message"].endswith("21% of it is left")
    assert not receiver.violations
    with pytest.raises(UnknownCheckError):
        engine.acknowledge("objective:databse", "anna")


def test_routes__of_the_check_and_of_objectives_apply(receiver: Receiver) -> None:
    with Receiver() as of_check, Receiver() as nobody:
        routes = [
            {"checks": ["data*"], "severity": ["critical"], "channels": ["of_check"]},
            {"checks": ["objective:*"], "channels": ["hook"]},
            {"checks": ["cache"], "channels": ["nobody"]},
        ]
        channels = {"hook": receiver.channel, "of_check": of_check.channel, "nobody": nobody.channel}
        engine = shop(channels, ROUTES=routes)
        engine.set_objectives(objectives(PAGE))
        wait_until(lambda: (receiver.kinds, of_check.kinds) == (["triggered"], ["triggered"]))
        assert nobody.requests == 0


@pytest.mark.parametrize("checks", ["data*", DATABASE, "objective:*"])
def test_silence_and_maintenance__hold_it(receiver: Receiver, checks: str) -> None:
    engine = shop({"hook": receiver.channel})
    now = time.time()
    silence = engine.silence({"check": checks}, now, now + 3_600, "anna", "known")
    engine.set_objectives(objectives(PAGE))
    wait_until(lambda: of_objectives(engine) == [("silenced", "error", "critical")])
    assert receiver.requests == 0
    engine.expire_silence(silence)
    wait_until(lambda: receiver.kinds == ["triggered"])
    planned = shop({"hook": receiver.channel}, MAINTENANCE=[{"cron": "* * * * *", "minutes": 5, "checks": [checks]}])
    planned.set_objectives(objectives(PAGE))
    wait_until(lambda: of_objectives(planned) == [("silenced", "error", "critical")])
    assert receiver.kinds == ["triggered"]


def test_check_whose_alerts_are_off__has_none_of_its_objective(receiver: Receiver) -> None:
    engine = shop({"hook": receiver.channel}, check={"alert": {"enabled": False}})
    engine.set_objectives(objectives(PAGE))
    engine.register("other", lambda: False)
    wait_until(lambda: receiver.kinds == ["triggered"])
    assert [incident["check"] for incident in engine.incidents()] == ["other"]


@where_shared
def test_engines_that_share__have_one_incident(receiver: Receiver, tmp_path: Path) -> None:
    options = {"share": "host", "store_path": tmp_path / "store"}
    engines = [shop({"hook": receiver.channel}, options=options) for _ in range(2)]
    engines[0].set_objectives(objectives(PAGE))
    wait_until(lambda: [of_objectives(engine) for engine in engines] == [[("firing", "error", "critical")]] * 2)
    wait_until(lambda: receiver.kinds == ["triggered"])
    engines[1].set_objectives(objectives(None))
    wait_until(lambda: receiver.kinds == ["triggered", "resolved"], 30)
    assert not receiver.violations
