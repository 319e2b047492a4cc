"""The mirror of incidents: what the tables have is asked for no second time, and what fails is said once."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.alerts import mirror as module
from django_lifesigns.alerts import operations
from django_lifesigns.alerts.mirror import IncidentMirror, instance_name
from django_lifesigns.models import Delivery, Incident, Silence
from lifesigns import CheckFailed, Engine
from tests.alerts.receiver import Receiver
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = pytest.mark.django_db


def fail() -> None:
    raise CheckFailed("Connection refused")


@pytest.fixture
def engine() -> Engine:
    """With an open incident of `db`, and no channel."""
    engine = Engine(log=False, alerts={"APPLICATION": "shop", "FAILURES": 1})
    engine.register("db", fail)
    engine.run()
    wait_until(lambda: engine.incidents(), 60)
    return engine


@pytest.fixture
def mirror(engine: Engine) -> IncidentMirror:
    return IncidentMirror(engine, "shop", is_shared=True)


def test_incident_is_written_and_the_tables_are_left_alone_then(engine: Engine, mirror: IncidentMirror) -> None:
    mirror.sync()
    row = Incident.objects.get()
    assert (row.check_name, row.state, row.severity, row.message) == ("db", "firing", "critical", "Connection refused")
    with CaptureQueriesContext(connection) as queries:
        mirror.sync()
    assert len(queries) == 0


def test_what_people_wrote_reaches_the_engine(engine: Engine, mirror: IncidentMirror) -> None:
    mirror.sync()
    operations.acknowledge(Incident.objects.all(), "ann", "on it")
    silence = operations.new_silence("d*", author="bob", comment="deploy")
    silence.save()
    mirror._next_look = 0.0
    mirror.sync()
    (found,) = engine.incidents()
    assert (found["acknowledged_by"], found["comment"]) == ("ann", "on it")
    (silenced,) = engine.silences()
    assert (silenced["id"], silenced["matchers"]["check"], silenced["author"]) == (silence.pk, ["d*"], "bob")
    operations.end(Silence.objects.all())
    mirror._next_look = 0.0
    mirror.sync()
    assert not engine.silences()[0]["active"]


def test_acknowledgement_goes_to_that_incident_and_to_no_later_one() -> None:
    """It is over, and another one of the same check is open, when the next exchange reads what was acknowledged."""
    is_bad = True

    def check() -> None:
        if is_bad:
            fail()

    engine = Engine(log=False, alerts={"APPLICATION": "shop", "FAILURES": 1, "SUCCESSES": 1})
    engine.register("db", check, ttl=0.05)

    def states() -> list[str]:
        engine.run()
        return [found["state"] for found in engine.incidents()]

    mirror = IncidentMirror(engine, "shop", is_shared=True)
    wait_until(lambda: states() == ["firing"], 60)
    mirror.sync()
    is_bad = False
    wait_until(lambda: states() == ["resolved"], 60)
    is_bad = True
    wait_until(lambda: states() == ["resolved", "firing"], 60)
    assert operations.acknowledge(Incident.objects.all(), "ann") == 1
    mirror._next_look = 0.0
    mirror.sync()
    assert [found["acknowledged_by"] for found in engine.incidents(open_only=True)] == [None]


def test_incident_of_the_tables_is_continued_under_its_id(engine: Engine, mirror: IncidentMirror) -> None:
    mirror.sync()
    (known,) = engine.incidents()
    other = Engine(log=False, alerts={"APPLICATION": "shop"})
    other.register("db", lambda: True)
    IncidentMirror(other, "shop", is_shared=True).sync()
    assert [found["id"] for found in other.incidents()] == [known["id"]]
    # A scope that has another one of the same check ends the older one.
    third = Engine(log=False, alerts={"APPLICATION": "shop", "FAILURES": 1})
    third.register("db", fail)
    third.run()
    wait_until(lambda: third.incidents(), 60)
    own = third.incidents()[0]["id"]
    mirrored = IncidentMirror(third, "shop", is_shared=True)
    mirrored.sync()
    mirrored.sync()
    assert {found["id"]: found["state"] for found in third.incidents(open_only=True)} == {own: "firing"}
    mirrored.sync()
    assert Incident.objects.get(pk=known["id"]).state == "resolved"


def test_refused_resolve_is_delivered_again_though_the_store_has_forgotten_it() -> None:
    broken = {"db": True}
    with Receiver() as receiver:
        settings = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 1, "SUCCESSES": 1, "APPLICATION": "shop"}
        engine = Engine(default_ttl=0.05, log=False, alerts=settings)
        engine.register("db", lambda: not broken["db"])
        mirror = IncidentMirror(engine, "shop", is_shared=True)

        def is_over() -> bool:
            mirror.sync()
            return not engine.incidents()

        engine.start_background()
        wait_until(lambda: receiver.kinds == ["triggered"], 60)
        receiver.answer = lambda number: 401
        broken["db"] = False
        wait_until(lambda: engine.incidents()[0]["deliveries"][-1]["state"] == "refused", 60)
        wait_until(is_over, 10)
        receiver.answer = lambda number: 202
        operations.retry(Incident.objects.all())
        mirror._next_look = 0.0
        mirror.sync()
        wait_until(lambda: receiver.kinds == ["triggered", "resolved"], 60)
        wait_until(is_over, 10)
    assert [row.state for row in Delivery.objects.order_by("id")] == ["delivered", "delivered"]


def test_retry_that_a_busy_store_refuses_is_asked_for_again(
    engine: Engine, mirror: IncidentMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.sync()
    Incident.objects.update(retry_requested_at=timezone.now())
    mirror._next_look = 0.0

    def refuse(_: str) -> int:
        raise TimeoutError

    monkeypatch.setattr(engine, "retry_deliveries", refuse)
    mirror.sync()
    assert Incident.objects.get().retry_requested_at is not None


@pytest.mark.parametrize("record", [[], "x", {"id": "x"}, {"id": "x", "check": "db", "since": 1e19}])
def test_incident_that_the_engine_refuses_harms_no_silence(
    engine: Engine, mirror: IncidentMirror, caplog: pytest.LogCaptureFixture, record: Any
) -> None:
    row = {"application": "shop", "check_name": "db", "state": "firing", "severity": "critical", "record": record}
    Incident.objects.create(id="x", since=timezone.now(), instance=instance_name(True), **row)
    Silence.objects.create(id="right", checks="db", ends_at=timezone.now() + timedelta(hours=1))
    mirror.sync()
    assert [found["id"] for found in engine.silences()] == ["right"]
    if "since" not in record:
        assert "in the tables is ignored" in caplog.text


def test_row_that_the_engine_refuses_is_logged_once_and_harms_no_other(
    engine: Engine, mirror: IncidentMirror, caplog: pytest.LogCaptureFixture
) -> None:
    end = timezone.now() + timedelta(hours=1)
    Silence.objects.create(id="wrong", checks="my check", ends_at=end)
    Silence.objects.create(id="right", checks="db", ends_at=end)
    for _ in range(3):
        mirror._next_look = 0.0
        mirror.sync()
    assert [found["id"] for found in engine.silences()] == ["right"]
    lines = [record.getMessage() for record in caplog.records if record.name == "django_lifesigns"]
    assert len(lines) == 1
    assert "the silence wrong in the tables is ignored" in lines[0]


def test_database_that_fails_is_said_once_and_caught_up(
    mirror: IncidentMirror, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise OperationalError("hunter2")

    caplog.set_level(logging.INFO, "django_lifesigns")
    with monkeypatch.context() as broken:
        broken.setattr(module, "exchange", refuse)
        for _ in range(3):
            mirror.sync()
    mirror.sync()
    assert Incident.objects.count() == 1
    lines = [record.getMessage() for record in caplog.records if record.name == "django_lifesigns"]
    assert lines == [
        "incidents: cannot be written (OperationalError); alerts are sent, and the store keeps them until then",
        "incidents: written again",
    ]


@where_shared
def test_host_of_a_fleet_writes_once_it_decides(tmp_path: Path) -> None:
    with Redis() as redis:
        options: dict[str, Any] = {"share": "fleet", "application": "shop", "store_path": tmp_path}
        alerts = {"APPLICATION": "shop", "FAILURES": 1}
        engine = Engine(log=False, fleet={"url": redis.url}, alerts=alerts, **options)
        engine.register("db", fail)
        mirror = IncidentMirror(engine, "shop", is_shared=True, fleet="shop")
        mirror.sync()
        assert engine.decides_incidents() is False
        engine.start_background()
        wait_until(lambda: engine.decides_incidents() and engine.incidents(), 60)
        mirror.sync()
        assert set(Incident.objects.values_list("instance", flat=True)) == {"fleet:shop"}


def test_scope_has_one_name_and_processes_that_share_nothing_have_their_own() -> None:
    assert instance_name(True) == instance_name(True)
    assert instance_name(False) != instance_name(False)
