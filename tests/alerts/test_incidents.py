"""Incidents from a failing check to a receiver that knows of it: fired, silenced, acknowledged, resolved, restored."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine, IncidentEvent, UnknownCheckError
from lifesigns.alert_settings import validate
from tests.alerts.receiver import SECRET, Receiver
from tests.process.host import where_shared
from tests.process.probes import fetch
from tests.services import wait_until

FAST = {"FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1]}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def no_engine_is_left() -> Iterator[None]:
    yield
    gc.collect()


class Shop:
    """An engine whose check ``database`` fails while `broken` says so."""

    def __init__(self, channels: dict[str, Any], broken: bool = False, **alerts: Any) -> None:
        # What the callables refer to, which outlive this object otherwise.
        self._state = state = {"broken": broken}
        self._message = message = ["no answer"]
        self.events: list[IncidentEvent] = []
        events = self.events
        options = alerts.pop("options", {})
        alert = alerts.pop("alert", None)
        settings = {"CHANNELS": channels, **FAST, **alerts}
        self.engine = Engine(default_ttl=0.05, application="shop", alerts=settings, **options)

        def database() -> dict[str, str]:
            if state["broken"]:
                return {"status": "error", "message": message[0]}
            return {"status": "healthy", "message": "fine"}

        def take(event: object) -> None:
            if isinstance(event, IncidentEvent):
                events.append(event)

        self.engine.register("database", database, alert=alert, runbook="https://wiki.example/database")
        self.engine.register("child", lambda: not state["broken"], depends_on=["database"])
        self.engine.subscribe(take)
        self.engine.start_background()

    @property
    def broken(self) -> bool:
        return self._state["broken"]

    @broken.setter
    def broken(self, broken: bool) -> None:
        self._state["broken"] = broken

    def say(self, message: str) -> None:
        """Fail with this message."""
        self._message[0] = message
        self.broken = True

    def incidents(self, check: str = "database") -> list[dict[str, Any]]:
        return [incident for incident in self.engine.incidents() if incident["check"] == check]

    def deliveries(self) -> list[dict[str, Any]]:
        return [delivery for incident in self.incidents() for delivery in incident["deliveries"]]

    def wait_state(self, *states: str) -> None:
        wait_until(lambda: [one["state"] for one in self.incidents()] == list(states), message=str(states))

    def wait_deliveries(self, *states: str) -> None:
        wait_until(lambda: [one["state"] for one in self.deliveries()] == list(states), message=str(states))


def test_incident__failing_check__triggers_once_and_resolves(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, URL="https://shop.example/health/")
    wait_until(lambda: shop.engine.run(deadline=0)["status"] == "healthy")
    shop.broken = True
    wait_until(lambda: receiver.kinds == ["triggered"])
    (incident,) = shop.engine.incidents(open_only=True)
    data = receiver.bodies[0]["data"]
    assert (data["dedup_key"], data["check"], data["status"]) == ("lifesigns/shop/database", "database", "error")
    assert (data["severity"], data["message"]) == ("critical", "no answer")
    assert set(data["blocked"]) <= {"readiness", "child"}
    assert (data["runbook"], data["url"]) == ("https://wiki.example/database", "https://shop.example/health/")
    assert data["incident_id"] == incident["id"]
    assert (incident["state"], incident["since"] <= incident["fired_at"] <= time.time()) == ("firing", True)
    assert data["instances"]["failing"] == data["instances"]["total"] == 1
    time.sleep(2.2)  # two more steps of the service
    assert receiver.kinds == ["triggered"]
    shop.broken = False
    wait_until(lambda: receiver.kinds == ["triggered", "resolved"])
    over = receiver.bodies[1]["data"]
    assert (over["blocked"], over["instances"]) == ([], {**data["instances"], "failing": 0})
    shop.wait_deliveries("delivered", "delivered")
    (incident,) = shop.incidents()
    assert (incident["state"], incident["message"], incident["ended"]) == ("resolved", "no answer", "fine")
    assert [entry["kind"] for entry in incident["timeline"]] == ["triggered", "delivery", "resolved", "delivery"]
    assert [(one["kind"], one["attempts"], one["last_answer"][:3]) for one in incident["deliveries"]] == [
        ("triggered", 1, "202"),
        ("resolved", 1, "202"),
    ]
    wait_until(lambda: [event.change for event in shop.events] == ["triggered", "resolved"])
    assert shop.events[0].severity == "critical"
    shop.engine.confirm_incidents({incident["id"]: incident["revision"]})
    wait_until(lambda: shop.incidents() == [])


def test_delivery__failing_receiver__is_repeated_until_it_is_taken(receiver: Receiver) -> None:
    receiver.answer = lambda number: 500 if number <= 4 else 202
    shop = Shop({"hook": receiver.channel})
    shop.broken = True
    wait_until(lambda: receiver.kinds == ["triggered"])
    shop.wait_deliveries("delivered")
    assert shop.deliveries()[0]["attempts"] == 5
    wait_until(
        lambda: [event.change for event in shop.events][:3] == ["triggered", "delivery_failing", "delivery_recovered"]
    )


def test_delivery__lost_answer__repeats_the_same_notice(receiver: Receiver) -> None:
    receiver.answer = lambda number: "lost" if number == 1 else 202
    shop = Shop({"hook": receiver.channel})
    shop.broken = True
    shop.wait_deliveries("delivered")
    assert (receiver.requests, receiver.kinds) == (2, ["triggered"])


def test_delivery__refusal__is_shown_and_repeated_on_demand_only(receiver: Receiver) -> None:
    receiver.answer = lambda number: 400
    shop = Shop({"hook": receiver.channel})
    shop.broken = True
    shop.wait_deliveries("refused")
    assert shop.deliveries()[0]["last_answer"].startswith("400")
    wait_until(lambda: "delivery_refused" in [event.change for event in shop.events])
    time.sleep(1.5)  # more than a step of the service
    assert receiver.requests == 1
    receiver.answer = lambda number: 202
    assert shop.engine.retry_deliveries(shop.incidents()[0]["id"]) == 1
    wait_until(lambda: receiver.kinds == ["triggered"])
    with pytest.raises(LookupError, match='unknown incident "x"'):
        shop.engine.retry_deliveries("x")


def test_delivery__retry_after__holds_the_whole_channel(receiver: Receiver) -> None:
    receiver.answer = lambda number: (429, {"Retry-After": "3"}) if number == 1 else 202
    shop = Shop({"hook": receiver.channel})
    shop.broken = True
    wait_until(lambda: receiver.requests == 1)
    started = time.monotonic()
    wait_until(lambda: receiver.kinds == ["triggered"])
    assert time.monotonic() - started > 2.5


def test_retry__lifts_the_pause_that_the_receiver_demands(receiver: Receiver) -> None:
    receiver.answer = lambda number: (429, {"Retry-After": "3600"}) if number == 1 else 202
    shop = Shop({"hook": receiver.channel})
    shop.broken = True
    wait_until(lambda: receiver.requests == 1)
    wait_until(lambda: shop.deliveries()[0]["next_attempt_at"] is not None)
    wait_until(lambda: shop.deliveries()[0]["next_attempt_at"] > time.time() + 3_000)
    assert shop.engine.retry_deliveries(shop.incidents()[0]["id"]) == 1
    wait_until(lambda: receiver.kinds == ["triggered"])


def test_retry__acknowledged_incident__triggers_as_things_are_now(receiver: Receiver) -> None:
    receiver.answer = lambda number: 401
    shop = Shop({"hook": receiver.channel})
    shop.say("before")
    shop.wait_deliveries("refused")
    assert shop.engine.acknowledge("database", "anna")
    shop.say("now")
    wait_until(lambda: shop.incidents()[0]["message"] == "now")
    receiver.answer = lambda number: 202
    assert shop.engine.retry_deliveries(shop.incidents()[0]["id"]) == 2
    wait_until(lambda: receiver.kinds == ["triggered", "acknowledged"])
    assert receiver.bodies[-2]["data"]["message"] == "now"


def test_incident__resolved_before_its_trigger_was_sent__sends_nothing(receiver: Receiver) -> None:
    receiver.answer = lambda number: 429
    shop = Shop({"hook": receiver.channel}, RETRIES=[60])
    shop.broken = True
    wait_until(lambda: receiver.requests == 1)
    shop.broken = False
    shop.wait_state("resolved")
    shop.wait_deliveries("dropped", "dropped")
    assert receiver.kinds == []


def test_silence__no_trigger_until_it_ends(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel})
    now = time.time()
    silence = shop.engine.silence({"check": "data*"}, now, now + 3_600, "anna", "deploy")
    shop.broken = True
    shop.wait_state("silenced")
    assert shop.incidents()[0]["silenced"] == "Silenced by anna: deploy"
    (shown,) = shop.engine.silences()
    assert (shown["id"], shown["matchers"]["check"], shown["active"]) == (silence, ["data*"], True)
    assert receiver.requests == 0
    assert shop.engine.expire_silence(silence)
    assert not shop.engine.expire_silence(silence)
    wait_until(lambda: receiver.kinds == ["triggered"])


def test_silence__of_an_empty_list__is_refused() -> None:
    engine = Engine(alerts={})
    with pytest.raises(ValueError, match="check must name a check or a pattern; left out it means all"):
        engine.silence({"check": []}, time.time(), time.time() + 60, "anna")
    assert engine.silences() == []


def test_maintenance__no_trigger_within_it(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, MAINTENANCE=[{"cron": "* * * * *", "minutes": 5, "checks": ["database"]}])
    shop.broken = True
    shop.wait_state("silenced")
    shop.broken = False
    shop.wait_state("resolved")
    assert receiver.requests == 0


def test_silence__that_begins_while_it_fires__lets_the_resolve_through(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, REMINDER=1)
    shop.broken = True
    wait_until(lambda: receiver.kinds[:2] == ["triggered", "reminded"])
    shop.engine.silence({}, time.time(), time.time() + 3_600, "anna")
    shop.wait_state("silenced")
    known = len(receiver.kinds)
    time.sleep(2.5)  # more than twice the time between reminders
    shop.broken = False
    wait_until(lambda: receiver.kinds[-1] == "resolved")
    assert receiver.kinds[known:] in (["resolved"], ["reminded", "resolved"]), "one may have been under way"


def test_acknowledge__is_sent_and_ends_reminders(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, REMINDER=1)
    assert not shop.engine.acknowledge("database", "anna")
    shop.broken = True
    wait_until(lambda: receiver.kinds[:2] == ["triggered", "reminded"])
    assert shop.engine.acknowledge("database", "anna", "on it")
    wait_until(lambda: receiver.kinds[-1] == "acknowledged")
    known = len(receiver.kinds)
    time.sleep(2.5)  # more than twice the time between reminders
    assert len(receiver.kinds) == known
    (incident,) = shop.incidents()
    assert (incident["state"], incident["acknowledged_by"], incident["comment"]) == ("acknowledged", "anna", "on it")
    shop.broken = False
    wait_until(lambda: receiver.kinds[-1] == "resolved")
    with pytest.raises(UnknownCheckError):
        shop.engine.acknowledge("databse", "anna")


def test_routes__alert_goes_to_the_channels_that_match(receiver: Receiver) -> None:
    with Receiver() as other:
        routes = [{"checks": ["database"], "severity": ["critical"], "channels": ["hook"]}]
        shop = Shop({"hook": receiver.channel, "other": other.channel}, ROUTES=routes)
        state = shop._state
        shop.engine.register("more", lambda: not state["broken"], critical=False)
        shop.broken = True
        wait_until(lambda: receiver.is_open("database") and receiver.is_open("more") and other.is_open("more"))
        assert not other.is_open("database")


def test_readiness__failing_check_without_an_incident__is_an_incident(receiver: Receiver) -> None:
    # Of the check there is none for long; readiness leaves it to it for ten times as long as it has itself.
    shop = Shop({"hook": receiver.channel}, SECONDS=0.2, alert={"failures": 1_000, "seconds": 0})
    shop.broken = True
    wait_until(lambda: receiver.is_open("readiness"))
    body = next(body for body in receiver.bodies if body["data"]["check"] == "readiness")
    assert body["data"]["message"].startswith("Not ready: ")
    shop.broken = False
    wait_until(lambda: not receiver.is_open("readiness"), timeout=20)


def test_readiness__check_with_an_incident__lists_it_and_opens_nothing_else(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, SECONDS=0.5)
    shop.broken = True
    wait_until(lambda: receiver.is_open("database"))
    wait_until(lambda: shop.incidents()[0]["blocked"] == ["readiness", "child"])
    assert shop.engine.acknowledge("database", "anna")
    time.sleep(3.5)  # more than readiness takes, and three steps of the service
    assert [incident["check"] for incident in shop.engine.incidents()] == ["database"]


@pytest.mark.parametrize(
    "alerts",
    [
        {"MAINTENANCE": [{"cron": "* * * * *", "minutes": 5, "checks": ["database"]}]},
        {"alert": {"enabled": False}},
    ],
)
def test_readiness__check_in_maintenance_or_without_alerts__opens_nothing(
    receiver: Receiver, alerts: dict[str, Any]
) -> None:
    shop = Shop({"hook": receiver.channel}, SECONDS=0.5, **alerts)
    wait_until(lambda: shop.engine.run(deadline=0)["status"] == "healthy")
    shop.broken = True
    wait_until(lambda: shop.engine.run(deadline=0)["status"] != "healthy")
    time.sleep(3.5)  # more than readiness takes, and three steps of the service
    assert [one["check"] for one in shop.engine.incidents() if one["state"] != "silenced"] == []
    assert receiver.requests == 0


def test_readiness__silenced_check__opens_nothing(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, SECONDS=0.5)
    shop.engine.silence({"check": "database"}, time.time(), time.time() + 3_600, "anna")
    shop.broken = True
    shop.wait_state("silenced")
    time.sleep(3.5)  # more than readiness takes, and three steps of the service
    assert [incident["check"] for incident in shop.engine.incidents()] == ["database"]
    assert receiver.requests == 0


def test_readiness__check_silenced_after_it_opened__reminds_no_more(receiver: Receiver) -> None:
    alert = {"failures": 1_000, "seconds": 0}
    shop = Shop({"hook": receiver.channel}, SECONDS=0.2, REMINDER=0.1, alert=alert)
    shop.broken = True
    wait_until(lambda: "reminded" in receiver.of("readiness"))
    end = time.time() + 3_600
    silence = shop.engine.silence({"check": "database"}, time.time(), end, "anna")
    wait_until(lambda: shop.incidents("readiness")[0]["state"] == "silenced")
    wait_until(lambda: all(one["state"] != "pending" for one in shop.incidents("readiness")[0]["deliveries"]))
    before = receiver.of("readiness")
    time.sleep(3.5)  # three steps of the service
    assert receiver.of("readiness") == before
    assert shop.engine.expire_silence(silence)
    wait_until(lambda: len(receiver.of("readiness")) > len(before))
    assert set(receiver.of("readiness")[len(before) :]) == {"reminded"}, "it was triggered before"


def test_metrics__count_incidents_and_deliveries(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel, "idle": receiver.channel}, ROUTES=[{"channels": "hook"}], RETRIES=[0.1])

    def value(sample: str) -> float | None:
        lines = lifesigns.metrics(shop.engine).splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), None)

    def deliveries(channel: str) -> dict[str, float | None]:
        name = f'health_alert_deliveries_total{{channel="{channel}",outcome='
        return {outcome: value(f'{name}"{outcome}"}}') for outcome in ("delivered", "failed", "refused")}

    pending, opened = 'health_alert_deliveries_pending{channel="hook"}', 'health_incidents_open{severity="critical"}'
    assert (value(opened), value(pending), value('health_incidents_open{severity="warning"}')) == (0, 0, 0)
    receiver.answer = lambda number: 503
    shop.broken = True
    wait_until(lambda: (deliveries("hook")["failed"] or 0) >= 2)
    assert (value(opened), value(pending), deliveries("hook")["delivered"]) == (1, 1, 0)
    receiver.answer = lambda number: 202
    wait_until(lambda: (value(pending), deliveries("hook")["delivered"]) == (0, 1))
    receiver.answer = lambda number: 401
    shop.broken = False
    wait_until(lambda: deliveries("hook")["refused"] == 1)
    wait_until(lambda: (value(opened), value(pending)) == (0, 0))
    assert deliveries("idle") == {"delivered": 0, "failed": 0, "refused": 0}
    assert "health_alert_deliveries" not in lifesigns.metrics(Engine())
    with shop.engine.serve("127.0.0.1:0", show_details="always") as server:
        served = fetch(server.address, "/metrics").body.decode().splitlines()
    assert 'health_alert_deliveries_total{channel="hook",outcome="refused"} 1.0' in served
    assert 'health_incidents_open{severity="critical"} 0.0' in served


@pytest.mark.parametrize("limit", [{"response_time": 0.01}, {"error_rate": 10.0}])
def test_limit__that_is_exceeded__is_a_warning(receiver: Receiver, limit: dict[str, float]) -> None:
    alerts = {"CHANNELS": {"hook": receiver.channel}, **FAST}
    engine = Engine(default_ttl=0.05, application="shop", alerts=alerts)
    runs = count()

    def slow() -> bool:
        time.sleep(0.05)
        # One in four fails, which is no error until two in a row do.
        return "error_rate" not in limit or next(runs) % 4 != 3

    engine.register("slow", slow, failures_before_error=2)
    engine.limit(**limit)
    engine.start_background()
    wait_until(lambda: receiver.is_open("slow"))
    body = next(body for body in receiver.bodies if body["data"]["check"] == "slow")
    assert (body["data"]["status"], body["data"]["severity"]) == ("degraded", "warning")


def test_channel__in_python__is_given_the_notice_and_returns_its_outcome() -> None:
    notices: list[dict[str, Any]] = []

    def send(notice: dict[str, Any]) -> dict[str, Any]:
        notices.append(notice)
        if len(notices) == 1:
            raise OSError("not yet")
        return {"state": "delivered", "answer": "taken", "reference": "7"}

    shop = Shop({"own": {"type": "python", "callable": send}})
    shop.broken = True
    shop.wait_deliveries("delivered")
    shop.broken = False
    shop.wait_deliveries("delivered", "delivered")
    assert [notice["kind"] for notice in notices] == ["triggered", "triggered", "resolved"]
    assert notices[0]["id"] == notices[1]["id"]
    assert [notice["reference"] for notice in notices] == [None, None, "7"]
    assert shop.deliveries()[0]["last_answer"] == "taken"


def test_test_channel__sends_a_trigger_and_a_resolve(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel, "own": {"type": "python", "callable": lambda notice: False}})
    assert shop.engine.test_channel("hook")["state"] == "delivered"
    assert receiver.kinds == ["triggered", "resolved"]
    assert shop.engine.test_channel("own") == {
        "state": "failed",
        "answer": "the channel returned False",
        "retry_after": None,
        "may_have_arrived": True,
    }
    receiver.answer = lambda number: 403
    assert shop.engine.test_channel("hook")["state"] == "refused"
    with pytest.raises(LookupError, match=r"unknown channel .*known are: hook, own"):
        shop.engine.test_channel("chat")


def test_test_channel__concerns_no_check_of_that_name(receiver: Receiver) -> None:
    shop = Shop({"hook": receiver.channel}, URL="https://shop.example/health/{check}/")
    shop.engine.test_channel("hook")
    keys, urls = ({body["data"][field] for body in receiver.bodies} for field in ("dedup_key", "url"))
    assert urls == {"https://shop.example/health/test/"}
    assert len(keys) == 1
    assert keys != {"lifesigns/shop/test"}


def test_channel__that_hangs__delays_no_other_channel_and_no_check(receiver: Receiver) -> None:
    with Receiver(lambda number: "hang") as hanging:
        shop = Shop({"slow": hanging.channel, "hook": receiver.channel}, TIMEOUT=20)
        shop.broken = True
        wait_until(lambda: hanging.requests == 1 and receiver.kinds == ["triggered"])
        shop.broken = False
        wait_until(lambda: receiver.kinds == ["triggered", "resolved"])
        with shop.engine.serve("127.0.0.1:0") as server:
            started = time.monotonic()
            assert shop.engine.run(refresh=True)["status"] == "healthy"
            assert fetch(server.address, "/ready").code == 200
            assert time.monotonic() - started < 10
        assert hanging.requests == 1


def test_ping_url__is_requested(receiver: Receiver) -> None:
    shop = Shop({}, PING_URL=receiver.url)
    wait_until(lambda: receiver.requests == 1)
    assert shop.engine.incidents() == []


@where_shared
def test_host_scope__several_engines__are_one_incident(receiver: Receiver, tmp_path: Path) -> None:
    options = {"share": "host", "store_path": tmp_path}
    shops = [Shop({"hook": receiver.channel}, options=options) for _ in range(3)]
    wait_until(lambda: all(shop.engine.run(deadline=0)["status"] == "healthy" for shop in shops))
    for shop in shops:
        shop.broken = True
    wait_until(lambda: receiver.of("database") == ["triggered"])
    # What another process writes at the moment is read the next time.
    wait_until(lambda: all(shop.incidents() for shop in shops))
    assert len({shop.incidents()[0]["id"] for shop in shops}) == 1
    for shop in shops:
        shop.broken = False
    wait_until(lambda: receiver.of("database") == ["triggered", "resolved"])
    events = [event.check for shop in shops for event in shop.events]
    assert events.count("database") <= 2


@where_shared
def test_host_scope__version_that_does_not_alert__leaves_the_incident_to_those_that_do(
    receiver: Receiver, tmp_path: Path
) -> None:
    options = {"share": "host", "store_path": tmp_path}
    before = Shop({"hook": receiver.channel}, options=options)
    after = Shop({"hook": receiver.channel}, options=options, alert={"enabled": False})
    before.broken = after.broken = True
    wait_until(lambda: receiver.of("database") == ["triggered"])
    time.sleep(3.5)  # three steps of both services
    assert receiver.of("database") == ["triggered"]
    before.broken = after.broken = False
    wait_until(lambda: receiver.of("database") == ["triggered", "resolved"])


def test_restore__open_incident_continues_and_fires_no_second_time(receiver: Receiver) -> None:
    before = Shop({"hook": receiver.channel})
    before.broken = True
    before.wait_deliveries("delivered")
    kept = before.engine.incidents()
    del before
    shop = Shop({"hook": receiver.channel}, broken=True)
    shop.engine.restore_incidents(kept)
    shop.engine.restore_incidents(kept)
    time.sleep(2.2)  # two steps of the service
    (incident,) = shop.incidents()
    assert (incident["id"], incident["since"], receiver.kinds) == (kept[0]["id"], kept[0]["since"], ["triggered"])
    shop.broken = False
    wait_until(lambda: receiver.kinds == ["triggered", "resolved"])
    assert receiver.violations == []


def test_restore__notice_that_was_sent_since_it_was_kept__keeps_its_id(receiver: Receiver) -> None:
    before = Shop({"hook": receiver.channel})
    before.broken = True
    before.wait_deliveries("delivered")
    kept = before.engine.incidents()
    before.engine.acknowledge("database", "anna")
    before.wait_deliveries("delivered", "delivered")
    del before
    shop = Shop({"hook": receiver.channel}, broken=True)
    shop.engine.restore_incidents(kept)
    shop.wait_state("firing")
    shop.broken = False
    # The receiver ignores what it has had.
    wait_until(lambda: receiver.kinds == ["triggered", "acknowledged", "resolved"])


def test_restore__pending_resolve_is_sent(receiver: Receiver) -> None:
    receiver.answer = lambda number: 202 if number == 1 else 503
    before = Shop({"hook": receiver.channel})
    before.broken = True
    before.wait_deliveries("delivered")
    before.broken = False
    before.wait_deliveries("delivered", "pending")
    kept = before.incidents()
    del before
    receiver.answer = lambda number: 202
    shop = Shop({"hook": receiver.channel})
    shop.engine.restore_incidents(kept)
    wait_until(lambda: not receiver.is_open("database"))


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        (7, "alerts: it must be a dict, not int"),
        ("CHANNELS", "alerts: it must be a dict, not str"),
        ({"CHANELS": {}}, "alerts: unknown field 'CHANELS': did you mean 'CHANNELS'?"),
        ({"CHANNELS": None}, "alerts: CHANNELS must be a dict of channels by name, not None"),
        ({"APPLICATION": 7}, "alerts: APPLICATION must be a str, not int"),
        ({"APPLICATION": "my shop"}, 'alerts: APPLICATION: the name "my shop" must be'),
        ({"FAILURES": "3"}, "alerts: FAILURES must be an int, not str"),
        ({"FAILURES": 2**32}, f"FAILURES must be an int from 1 to 1000, not {2**32}"),
        ({"CHANNELS": {"a": {"type": "slak"}}}, "alerts: CHANNELS.a: unknown type 'slak': did you mean 'slack'"),
        ([], "alerts: it must be a dict, not list"),
        (
            {"CHANNELS": {"a": {}}},
            "a: type is required, one of pagerduty, opsgenie, slack, mail, webhook, apprise, python",
        ),
        ({"CHANNELS": {"a": {"type": "appris"}}}, "alerts: CHANNELS.a: unknown type 'appris': did you mean 'apprise'"),
        ({"X": 1}, "alerts: unknown field 'X': known are APPLICATION, CHANNELS, ROUTES, "),
        ({"CHANNELS": {"a": {"type": "webhook", "url": "http://h"}}}, "alerts: CHANNELS.a: secrets is required"),
        ({"CHANNELS": {"a b": {"type": "webhook"}}}, "alerts: CHANNELS: the name"),
        ({"CHANNELS": {"a": {"type": "python"}}}, "CHANNELS.a.callable must be a callable"),
        ({"ROUTES": [{"channels": ["x"]}]}, 'ROUTES[0].channels has "x", which is no channel'),
    ],
)
def test_settings__wrong__are_named(alerts: Any, expected: str) -> None:
    for refuse in (lambda: Engine(alerts=alerts), lambda: validate(alerts)):
        with pytest.raises(ValueError, match=re.escape(expected)):
            refuse()


def test_settings__wrong__show_no_secret() -> None:
    hook = {"type": "webhook", "url": "https://user:PLANTED@h/PLANTED", "secrets": ["whsec_PLANTED"]}
    for alerts in (
        {"CHANNELS": {"a": hook}},
        {"CHANNELS": {"a": {**hook, "secrets": ["PLANTED", 7]}}},
        {"CHANNELS": {"a": {"type": "slack", "webhook_url": "PLANTED"}}},
        {"PING_URL": "PLANTED"},
        {"PING_URL": ["PLANTED"]},
    ):
        with pytest.raises(ValueError, match="alerts: ") as error:
            Engine(alerts=alerts)
        assert "PLANTED" not in str(error.value)


def test_ping_url__failure__is_logged_once_without_the_url(caplog: pytest.LogCaptureFixture) -> None:
    with Receiver(lambda number: 500) as receiver:
        shop = Shop({}, PING_URL=receiver.url + "/PLANTED")
        wait_until(lambda: "PING_URL" in caplog.text)
        assert shop.engine.incidents() == []
    (line,) = (record.getMessage() for record in caplog.records if "PING_URL" in record.getMessage())
    assert line == "PING_URL cannot be requested: HTTP status 500; it is requested again every minute"


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        (7, "x: alert must be a dict, not int"),
        ("failures", "x: alert must be a dict, not str"),
        ([("failures", 3)], "x: alert must be a dict, not list"),
        ({"failure": 3}, "x: unknown field 'alert.failure': did you mean 'alert.failures'?"),
        ({"FAILURES": 0}, "x: unknown field 'alert.FAILURES': did you mean 'alert.failures'?"),
        ({"failures": 0}, "x: alert.failures must be an int from 1 to 1000, not 0"),
        ({"seconds": "10"}, "x: alert.seconds must be a number, not str"),
        ({"severity": "severe"}, "x: alert.severity must be one of 'warning', 'error', 'critical'"),
        ({"enabled": 1}, "x: alert.enabled must be a bool, not int"),
        ({7: 3}, "x: the names of its fields must be of type str"),
    ],
)
def test_register__wrong_alert_options__are_named(alert: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        Engine().register("x", lambda: True, alert=alert)


def test_engine_without_alerts__says_so() -> None:
    with pytest.raises(ValueError, match="has no alerts"):
        Engine().incidents()


@pytest.mark.usefixtures("nothing_hidden")
def test_secrets_of_channels__are_in_no_alert(receiver: Receiver) -> None:
    url = "https://hooks.slack.com/services/T0PLANTED/B0PLANTED/plantedXYZ0"
    routing_key = "0planted0" * 3 + "abcde"
    channels = {
        "hook": receiver.channel,
        "chat": {"type": "slack", "webhook_url": url},
        "oncall": {"type": "pagerduty", "routing_key": routing_key},
    }
    ping = "https://ping.example.org/planted-0123"
    shop = Shop(channels, ROUTES=[{"channels": ["hook"]}], PING_URL=ping)
    shop.say(f"refused by {url} as {routing_key}, {SECRET} and {ping}")
    wait_until(lambda: receiver.is_open("database"))
    shown = repr(receiver.bodies) + repr(shop.engine.incidents())
    assert "refused by" in shown
    assert "planted" not in shown.lower()
    assert SECRET not in shown
