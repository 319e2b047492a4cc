"""The HTTP channels of alerts against receivers that verify what they get: a life of an incident on each of them."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.alerts.sending import EXTREME, KEY, deliver
from tests.services.alert_services import OpsgenieReceiver, PagerDutyReceiver, SlackReceiver
from tests.services.receivers import WebhookReceiver

KINDS = ("triggered", "acknowledged", "reminded", "resolved")


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackReceiver]:
    with SlackReceiver("xoxb-planted") as receiver:
        yield receiver


def bot(receiver: SlackReceiver, channel: str) -> dict[str, Any]:
    """Messages to one channel are a second apart, so each test has its own."""
    return {"type": "slack", "bot_token": receiver.token, "channel": channel, "api_url": f"{receiver.url}/api"}


def hook(receiver: SlackReceiver, name: str) -> dict[str, Any]:
    return {"type": "slack", "webhook_url": f"{receiver.url}/services/T0/B0/{name}-planted"}


def test_pagerduty_opens_acknowledges_and_resolves_by_its_key() -> None:
    with PagerDutyReceiver("planted" + "0" * 25) as receiver:
        channel = {"type": "pagerduty", "routing_key": receiver.routing_key, "api_url": receiver.url}
        assert deliver(channel) == {"state": "delivered", "answer": "202", "reference": None}
        assert receiver.alerts == {KEY: "triggered"}
        deliver(channel, "acknowledged")
        assert receiver.alerts == {KEY: "acknowledged"}
        assert deliver(channel, "reminded")["answer"] == "not sent: PagerDuty reminds by itself"
        assert deliver(channel, "reminded", is_flapping=True)["answer"] == "202"
        deliver(channel, "resolved")
        assert (receiver.alerts, receiver.faults, len(receiver.events)) == ({}, [], 4)


def test_opsgenie_opens_acknowledges_and_closes_by_alias() -> None:
    with OpsgenieReceiver("planted-key") as receiver:
        channel = {"type": "opsgenie", "api_key": receiver.api_key, "api_url": receiver.url}
        alias = KEY.replace("/", ":")
        assert deliver(channel) == {"state": "delivered", "answer": "202", "reference": None}
        assert receiver.alerts[alias]["priority"] == "P1"
        deliver(channel, "acknowledged")
        assert receiver.alerts[alias]["status"] == "acknowledged"
        assert deliver(channel, "reminded")["answer"] == "not sent: Opsgenie reminds by itself"
        deliver(channel)
        assert receiver.alerts[alias]["count"] == 2
        deliver(channel, "resolved")
        assert (receiver.alerts, receiver.faults) == ({}, [])


def test_slack_webhook_each_notice_is_a_message() -> None:
    with SlackReceiver() as receiver:
        for number, kind in enumerate(KINDS):
            attempt = deliver(hook(receiver, f"each-{number}"), kind)
            assert attempt == {"state": "delivered", "answer": "200", "reference": None}
        texts = [message["text"] for message in receiver.messages.values()]
        assert texts[0] == "[shop] CRITICAL: database_connectivity is failing: 127.0.0.1:5432 refused the connection"
        assert texts[3] == "[shop] RESOLVED: database_connectivity is healthy after 12 min"
        assert receiver.faults == []


def test_slack_bot_turns_its_message_green(slack: SlackReceiver) -> None:
    first = deliver(bot(slack, "C-green"))
    assert first["state"] == "delivered"
    channel, stamp = first["reference"].split()
    assert channel == "C-green"
    assert deliver(bot(slack, "C-green"), "resolved", reference=first["reference"])["reference"] == first["reference"]
    message = slack.messages[stamp]
    assert message["attachments"][0]["color"] == "#2eb886"
    assert message["text"] == "[shop] RESOLVED: database_connectivity is healthy after 12 min"


def test_slack_bot_reminds_in_the_thread_for_all_to_see(slack: SlackReceiver) -> None:
    slack.messages["1700000001.000001"] = {"channel": "C-thread", "text": "before"}
    reference = "C-thread 1700000001.000001"
    assert deliver(bot(slack, "C-thread"), "reminded", reference=reference)["reference"] == reference
    reply = list(slack.messages.values())[-1]
    assert (reply["thread_ts"], reply["reply_broadcast"]) == ("1700000001.000001", True)
    assert "is still failing after 12 min" in reply["text"]


def test_slack_bot_message_that_is_gone_replaced_by_another(slack: SlackReceiver) -> None:
    attempt = deliver(bot(slack, "C-gone"), "resolved", reference="C-gone 1600000000.000001")
    assert attempt["state"] == "delivered"
    stamp = attempt["reference"].split()[1]
    assert slack.messages[stamp]["text"].startswith("[shop] RESOLVED")


def test_slack_messages_to_one_channel_a_second_apart(slack: SlackReceiver) -> None:
    channel, started = hook(slack, "pace"), time.monotonic()
    states: list[str] = []
    threads = [threading.Thread(target=lambda: states.append(deliver(channel)["state"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["delivered"] * 2
    assert time.monotonic() - started >= 1
    # The next turn is after the deadline: it says so at once.
    late = deliver(channel, timeout=0.3)
    assert late["state"] == "failed"
    assert 0 < late["retry_after"] <= 1
    assert late["may_have_arrived"] is False
    assert late["answer"] == "not sent yet: Slack takes one message a second for each channel"


def test_webhook_signed_with_every_secret_and_the_same_in_all_attempts() -> None:
    old, new = new_secret(), new_secret()
    for known in ([old], [new], [new_secret(), new]):
        with WebhookReceiver(*known) as receiver:
            channel = {"type": "webhook", "url": f"{receiver.url}/hooks/planted?a=b", "secrets": [new, old]}
            assert deliver(channel) == {"state": "delivered", "answer": "204", "reference": None}
            assert deliver(channel)["state"] == "delivered"
            first, second = receiver.requests
            assert (first.path, first.query) == ("/hooks/planted", {"a": ["b"]})
            assert first.body == second.body
            assert first.headers["webhook-id"] == second.headers["webhook-id"] == "notice-1"
            assert abs(int(first.headers["webhook-timestamp"]) - time.time()) < 60
            assert len(first.headers["webhook-signature"].split()) == 2
            assert receiver.ids == ["notice-1"]
            for kind in KINDS[1:]:
                deliver(channel, kind, id=f"notice-{kind}")
            assert [event["type"] for event in receiver.events] == [f"incident.{kind}" for kind in KINDS]
            assert receiver.faults == []


def test_webhook_with_a_secret_that_the_receiver_has_not_refused() -> None:
    with WebhookReceiver(new_secret()) as receiver:
        channel = {
            "type": "webhook",
            "url": f"http://user:planted@127.0.0.1:{receiver.port}",
            "secrets": [new_secret()],
        }
        answer = "401 Unauthorized: does the receiver have one of the secrets?"
        assert deliver(channel) == {"state": "refused", "answer": answer}
        login = base64.b64encode(b"user:planted").decode()
        assert receiver.requests[0].headers["authorization"] == f"Basic {login}"


@pytest.mark.parametrize("kind", KINDS)
def test_limits_hold_for_extreme_notices(kind: str, slack: SlackReceiver) -> None:
    secret = new_secret()
    with (
        PagerDutyReceiver("key") as pagerduty,
        OpsgenieReceiver("key") as opsgenie,
        WebhookReceiver(secret) as webhook,
    ):
        channels: list[dict[str, Any]] = [
            {"type": "pagerduty", "routing_key": "key", "api_url": pagerduty.url},
            {"type": "opsgenie", "api_key": "key", "api_url": opsgenie.url},
            {"type": "webhook", "url": webhook.url, "secrets": [secret]},
            bot(slack, f"C-extreme-{kind}"),
            hook(slack, f"extreme-{kind}"),
        ]
        for channel in channels:
            assert deliver(channel, kind, **EXTREME)["state"] == "delivered", channel["type"]
        assert pagerduty.faults == opsgenie.faults == webhook.faults == []
        assert webhook.events[0]["data"]["check"] == EXTREME["check"]
