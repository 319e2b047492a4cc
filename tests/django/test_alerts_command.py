"""`manage.py health_alert`: what it shows, whom it reaches, and what it says of a mistake."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.management.incidents import json_with_times
from django_lifesigns.models import Incident, Silence
from django_lifesigns.runtime import engine, sharing
from django_lifesigns.runtime.engine import get_engine, reset
from tests.django import settings as plain
from tests.django.incidents import NOW, RECORDS_FROM_ELSEWHERE, delivery, incident, silence
from tests.services import free_port

pytestmark = pytest.mark.django_db

SECRET = f"whsec_{b64encode(bytes(range(32))).decode()}"


@pytest.fixture
def configured(settings: Any) -> None:
    """A channel at an address where nothing listens."""
    url = f"http://127.0.0.1:{free_port()}/"
    channels = {"hook": {"type": "webhook", "url": url, "secrets": [SECRET]}}
    groups = {"worker": {"checks": ["cpu_load"], "critical": []}}
    alerts = {"APPLICATION": "shop", "CHANNELS": channels}
    settings.LIFESIGNS = {**plain.LIFESIGNS, "ALERTS": alerts, "GROUPS": groups}


@pytest.fixture
def shared(configured: None, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """As in a worker, with a store."""
    for module in (engine, sharing):
        monkeypatch.setattr(module, "is_under_test", lambda: False)
    settings.LIFESIGNS = {**settings.LIFESIGNS, "STORE_PATH": str(tmp_path)}
    yield
    reset()


@pytest.fixture
def rows() -> None:
    """Incidents of another host: one open with a delivery that was refused, one that is over."""
    refused = delivery("chat", state="refused", last_answer="403 Forbidden")
    opened = incident("one", check="cpu_load", deliveries=[delivery("oncall"), refused])
    over = incident("two", check="disk_space", state="resolved", resolved_at=NOW)
    exchange([opened, over], [silence()], application="shop", instance="elsewhere")


def call(*arguments: str) -> str:
    out = StringIO()
    call_command("health_alert", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.usefixtures("configured", "rows")
def test_list_shows_open_incidents_of_every_host_and_silences() -> None:
    header, line, *_, silences, quiet = call("list").splitlines()
    assert header.split() == ["Check", "State", "Severity", "Since", "Acknowledged", "by", "Delivered", "Message"]
    assert line.startswith("cpu_load")
    assert "oncall: triggered delivered, chat: triggered refused (403 Forbidden)" in line
    assert line.endswith("Connection refused")
    assert silences.startswith("Silenced")
    assert quiet.startswith("check database_*")
    assert "disk_space" in call("list", "--all")


@pytest.mark.usefixtures("configured", "rows")
def test_list_as_json_has_the_story_with_times_in_words() -> None:
    shown = json.loads(call("list", "--format", "json"))
    (found,) = shown["incidents"]
    assert (found["check"], found["state"], found["instance"]) == ("cpu_load", "firing", "elsewhere")
    assert found["since"].endswith("+00:00")
    assert json.loads(json_with_times({"acknowledged_at": 0.5})) == {
        "acknowledged_at": "1970-01-01T00:00:00.500000+00:00"
    }
    assert found["deliveries"][1]["last_answer"] == "403 Forbidden"
    assert shown["silences"][0]["matchers"]["check"] == ["database_*"]
    assert len(json.loads(call("list", "--format", "json", "--all"))["incidents"]) == 2


@pytest.mark.usefixtures("configured", "rows")
@pytest.mark.parametrize("record", RECORDS_FROM_ELSEWHERE)
def test_list_with_a_row_from_elsewhere(record: Any) -> None:
    Incident.objects.update(record=record)
    assert "cpu_load" in call("list")
    assert len(json.loads(call("list", "--format", "json"))["incidents"]) == 1


@pytest.mark.usefixtures("configured")
@pytest.mark.usefixtures("configured")
def test_list_says_what_a_receiver_was_not_sent() -> None:
    by_itself = delivery("oncall", kind="reminded", last_answer="not sent: PagerDuty reminds by itself")
    exchange([incident(deliveries=[by_itself, delivery("chat")])], [], application="shop", instance="elsewhere")
    shown = call("list")
    assert "oncall: reminded delivered (not sent: PagerDuty reminds by itself)" in shown
    assert "chat: triggered delivered " in shown


def test_list_of_nothing() -> None:
    assert call("list") == "No open incidents.\n"


@pytest.mark.usefixtures("configured", "rows")
def test_acknowledge_silence_and_retry_reach_other_hosts_by_the_tables() -> None:
    assert call("acknowledge", "cpu_load", "--author", "ann", "--comment", "on it") == "cpu_load acknowledged\n"
    row = Incident.objects.get(pk="one")
    assert (row.acknowledged_by, row.acknowledgement) == ("ann", "on it")
    assert call("retry") == "1 incident is retried\n"
    assert Incident.objects.get(pk="one").retry_requested_at is not None
    assert Incident.objects.get(pk="two").retry_requested_at is None
    options = ("--check", "redis_*", "--hours", "2", "--severity", "critical", "--group", "worker", "--author", "ann")
    added = json.loads(call("silence", *options, "--comment", "upgrade", "--format", "json"))["id"]
    silenced = Silence.objects.get(pk=added)
    assert (silenced.checks, silenced.severity, silenced.group) == ("redis_*", "critical", "worker")
    assert (silenced.ends_at - silenced.starts_at).total_seconds() == 7_200
    assert call("silence", "--end", added) == f"Silence {added} ended\n"
    assert added not in call("list")


@pytest.mark.usefixtures("shared")
def test_silence_reaches_this_host_by_its_store_under_the_same_id() -> None:
    added = json.loads(call("silence", "--check", "cpu_load", "--format", "json"))["id"]
    (found,) = get_engine().silences()
    assert (found["id"], found["matchers"]["check"], found["active"]) == (added, ["cpu_load"], True)
    assert Silence.objects.get().pk == added
    call("silence", "--end", added)
    assert [found["active"] for found in get_engine().silences()] == [False]


@pytest.mark.usefixtures("shared")
def test_silence_for_which_there_is_no_room_is_one_line() -> None:
    now = time.time()
    for _ in range(200):
        get_engine().silence({"check": "cpu_load"}, now, now + 3_600, "ann")
    with pytest.raises(CommandError, match="no room for another silence") as error:
        call("silence", "--check", "disk_space")
    assert error.value.returncode == 2
    assert not Silence.objects.exists()


@pytest.mark.usefixtures("shared")
def test_store_is_reached_though_the_database_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CommandError("no") from OperationalError("hunter2")

    monkeypatch.setattr("django_lifesigns.management.incidents.require_history", refuse)
    text = call("silence", "--check", "cpu_load")
    assert "The tables of incidents cannot be written (OperationalError): other hosts follow once they can." in text
    assert len(get_engine().silences()) == 1
    text = call("list")
    assert "The tables of incidents cannot be read (OperationalError): these are those of this host." in text
    assert "check cpu_load" in text
    assert "hunter2" not in text


@pytest.mark.usefixtures("configured")
def test_without_a_store_and_a_database_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CommandError("no") from OperationalError("hunter2")

    monkeypatch.setattr("django_lifesigns.management.incidents.require_history", refuse)
    with pytest.raises(CommandError, match=r"^No store is shared.*\(OperationalError\)\.$"):
        call("list")


@pytest.mark.usefixtures("shared")
def test_test_reports_the_outcome_of_each_channel() -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("health_alert", "test", stdout=out)
    assert ended.value.code == 2
    assert out.getvalue().startswith("hook: failed (")
    assert SECRET not in out.getvalue()


@pytest.mark.usefixtures("configured", "rows")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["test", "--channel", "hok"], "Unknown channel 'hok'. Did you mean 'hook'?"),
        (["acknowledge", "cpu_laod"], "No open incident of 'cpu_laod'. Did you mean 'cpu_load'?"),
        (["acknowledge", "disk_space"], "No open incident of 'disk_space'. Known are: cpu_load."),
        (["silence", "--check", "cpu_laod"], "Unknown check 'cpu_laod'. Did you mean 'cpu_load'?"),
        (["silence", "--check", "*", "--group", "wrker"], "Unknown group 'wrker'. Did you mean 'worker'?"),
        (["silence", "--check", "*", "--hours", "-1"], "must be a number of hours above 0"),
        (["silence", "--end", "quit"], "No silence that lasts has the id 'quit'. Did you mean 'quiet'?"),
        (["silence"], "--check --end is required"),
        (["nothing"], "invalid choice"),
    ],
)
def test_mistake_is_one_line_with_the_nearest_right_name(arguments: list[str], text: str) -> None:
    with pytest.raises(CommandError) as error:
        call(*arguments)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_channel_that_is_left_out_says_why(settings: Any) -> None:
    settings.ADMINS = []
    settings.LIFESIGNS = {"ALERTS": {"CHANNELS": {"mail": {"type": "mail"}}}, "SHARE": "process"}
    with pytest.raises(
        CommandError, match=r"^Channel 'mail' is left out\. .*'to' is missing, and ADMINS has no address"
    ):
        call("test", "--channel", "mail")


def test_without_channels_test_says_so(settings: Any) -> None:
    settings.LIFESIGNS = {}
    with pytest.raises(CommandError, match="names none that can be used"):
        call("test")
