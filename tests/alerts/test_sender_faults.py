"""What the HTTP channels of alerts make of receivers that refuse, fail, redirect, are silent or break off."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from itertools import count
from time import time
from typing import Any

import pytest

from tests.alerts.sending import attempt_once, deliver, notice
from tests.process.host import ROOT
from tests.servers import misbehaving
from tests.servers.forward_proxy import ForwardProxy
from tests.services import Certificates
from tests.services.alert_services import OpsgenieReceiver, PagerDutyReceiver, SlackReceiver
from tests.services.receivers import Answer, Receiver, WebhookReceiver

PLANTED = "planted-secret-4711"
SECRET = "whsec_" + base64.b64encode(b"planted-" * 4).decode()
TYPES = ("pagerduty", "opsgenie", "slack", "slack-bot", "webhook")
PROGRAM = """
import json, sys
from tests.alerts.sending import attempt_once
print(json.dumps(attempt_once(*json.loads(sys.argv[1]))))
"""
numbers = count()


@pytest.fixture(scope="module")
def receivers() -> Iterator[dict[str, Receiver]]:
    with (
        PagerDutyReceiver(PLANTED) as pagerduty,
        OpsgenieReceiver(PLANTED) as opsgenie,
        SlackReceiver(PLANTED) as slack,
        WebhookReceiver(SECRET) as webhook,
    ):
        yield dict(zip(TYPES, (pagerduty, opsgenie, slack, slack, webhook), strict=True))


def channel(kind: str, url: str) -> dict[str, Any]:
    """The settings of a channel at a URL, full of secrets; no two of Slack's share a pace."""
    settings: dict[str, dict[str, Any]] = {
        "pagerduty": {"type": "pagerduty", "routing_key": PLANTED, "api_url": url},
        "opsgenie": {"type": "opsgenie", "api_key": PLANTED, "api_url": url},
        "slack": {"type": "slack", "webhook_url": f"{url}/services/T0/B0/{PLANTED}{next(numbers)}"},
        "slack-bot": {"type": "slack", "bot_token": PLANTED, "channel": f"C{next(numbers)}", "api_url": f"{url}/api"},
        "webhook": {"type": "webhook", "url": f"{url}/{PLANTED}", "secrets": [SECRET]},
    }
    return settings[kind]


def answered(receiver: Receiver, kind: str, answer: Answer, timeout: float = 5.0) -> dict[str, Any]:
    """The result of an attempt that is answered so; exactly one request was sent."""
    before = len(receiver.requests)
    receiver.script.append(answer)
    attempt = deliver(channel(kind, receiver.url), timeout=timeout)
    assert len(receiver.requests) == before + 1
    assert not receiver.script
    return attempt


@pytest.mark.parametrize("kind", TYPES)
def test_status_of_an_answer(kind: str, receivers: dict[str, Receiver]) -> None:
    receiver = receivers[kind]
    for status in (400, 401, 403, 404, 405, 410, 413, 422):
        # A body that repeats what it got is shown by none.
        attempt = answered(receiver, kind, Answer(status, f"<h1>{PLANTED}</h1>"))
        assert attempt["state"] == "refused", attempt
        assert re.match(rf"{status} [A-Z]", attempt["answer"]), attempt
    later = formatdate(time() + 90, usegmt=True)
    for status, headers, seconds, arrived in (
        (301, {"Location": f"{receiver.url}/{PLANTED}"}, None, False),
        (302, {"Location": "/"}, None, False),
        (408, {}, None, False),
        (425, {}, None, False),
        (429, {"Retry-After": "7"}, 7, False),
        (429, {"Retry-After": later}, 90, False),
        (429, {"Retry-After": PLANTED}, None, False),
        (500, {}, None, True),
        (502, {"Retry-After": "3600"}, 3600, True),
        (503, {}, None, True),
    ):
        attempt = answered(receiver, kind, Answer(status, PLANTED, headers))
        assert attempt["state"] == "failed", attempt
        assert attempt["may_have_arrived"] is arrived, attempt
        if seconds is None:
            assert attempt["retry_after"] is None
        else:
            assert seconds - 5 <= attempt["retry_after"] <= seconds
            assert ", again in " in attempt["answer"]
    assert receiver.faults == []


@pytest.mark.parametrize("kind", TYPES)
def test_answer_that_is_lost_may_have_arrived(kind: str, receivers: dict[str, Receiver]) -> None:
    receiver = receivers[kind]
    attempt = answered(receiver, kind, Answer(200, mode="silent"), timeout=0.3)
    said = "TimeoutError after 0.3 s (while waiting for the answer)"
    assert attempt == {"state": "failed", "answer": said, "retry_after": None, "may_have_arrived": True}
    attempt = answered(receiver, kind, Answer(200, mode="half"))
    assert attempt["answer"].startswith("ConnectionResetError: ")
    assert attempt["may_have_arrived"] is True
    attempt = answered(receiver, kind, Answer(200, '{"ok": true}', mode="cut"))
    # Only the Web API of Slack says in the body whether it was accepted.
    assert attempt["state"] == ("failed" if kind == "slack-bot" else "delivered")
    assert attempt.get("may_have_arrived", True) is True


@pytest.mark.parametrize("kind", TYPES)
def test_receiver_that_is_not_reached_has_got_nothing(kind: str, certificates: Certificates) -> None:
    refused = deliver(channel(kind, f"http://127.0.0.1:{misbehaving.refused_port()}"))
    assert refused["answer"].startswith("ConnectionRefusedError: ")
    unknown = deliver(channel(kind, "http://receiver.invalid"))
    assert unknown["answer"] == "NameResolutionError: the host name receiver.invalid does not resolve"
    with misbehaving.silent() as server:
        silent = deliver(channel(kind, f"https://127.0.0.1:{server.port}"), timeout=0.3)
    assert silent["answer"] == "TimeoutError after 0.3 s (during the TLS handshake)"
    with WebhookReceiver(SECRET, tls=certificates.server) as receiver:
        stranger = deliver(channel(kind, receiver.url))
        assert stranger["answer"].endswith(
            "the certificate is signed by an unknown authority, or an intermediate certificate is missing"
        )
        assert receiver.requests == []
    for attempt in (refused, unknown, silent, stranger):
        assert (attempt["state"], attempt["may_have_arrived"]) == ("failed", False), attempt


def test_receiver_behind_an_own_authority_and_a_proxy(certificates: Certificates) -> None:
    with PagerDutyReceiver(PLANTED, tls=certificates.server) as receiver, ForwardProxy() as proxy:
        settings = channel("pagerduty", f"https://localhost:{receiver.port}") | {"tls": {"ca": str(certificates.ca)}}
        environment = os.environ | {"HTTPS_PROXY": f"http://user:{PLANTED}@127.0.0.1:{proxy.port}", "NO_PROXY": ""}
        command = [sys.executable, "-c", PROGRAM, json.dumps([settings, notice(), 5.0])]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
        )
        assert json.loads(result.stdout) == {"state": "delivered", "answer": "202", "reference": None}
        assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT localhost:{receiver.port} HTTP/1.1"]
        assert len(receiver.alerts) == 1
    with ForwardProxy(answer=b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n") as proxy:
        environment["HTTPS_PROXY"] = f"http://user:{PLANTED}@127.0.0.1:{proxy.port}"
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
        )
        attempt = json.loads(result.stdout)
        assert (attempt["state"], attempt["may_have_arrived"]) == ("failed", False)
        assert PLANTED not in result.stdout + result.stderr


def test_slack_error_words_decide(receivers: dict[str, Receiver]) -> None:
    for error, state, said in (
        ("invalid_auth", "refused", "invalid_auth"),
        ("is_archived", "refused", "is_archived"),
        ("ratelimited", "failed", "ratelimited"),
        ("internal_error", "failed", "internal_error"),
        (PLANTED, "refused", "an error without a name"),
    ):
        body = json.dumps({"ok": False, "error": error})
        attempt = answered(receivers["slack-bot"], "slack-bot", Answer(200, body))
        assert (attempt["state"], attempt["answer"]) == (state, f"200, but not ok: {said}")
    attempt = answered(receivers["slack"], "slack", Answer(404, "no_service"))
    assert attempt == {"state": "refused", "answer": "404 Not Found: no_service"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("x", "CHANNELS.channel: a channel must be a dict, not str"),
        ({}, "CHANNELS.channel: type is required, one of pagerduty, opsgenie, slack, mail, webhook"),
        ({"type": 1}, "CHANNELS.channel: type must be a str, not int"),
        ({"type": "pagerdutty"}, "CHANNELS.channel: unknown type 'pagerdutty': did you mean 'pagerduty'?"),
        ({"type": "pagerduty"}, "CHANNELS.channel: routing_key is required"),
        ({"type": "pagerduty", "routing_key": 4711}, "CHANNELS.channel: routing_key must be a str, not int"),
        ({"type": "pagerduty", "routing_kee": PLANTED}, "unknown field 'routing_kee': did you mean 'routing_key'?"),
        ({"type": "pagerduty", "routing_key": PLANTED, "api_url": PLANTED}, "api_url must start with http:// or https"),
        ({"type": "opsgenie", "api_key": f"{PLANTED}\n"}, "api_key holds characters that an HTTP header cannot carry"),
        ({"type": "slack", "webhook_url": PLANTED}, "webhook_url must start with http:// or https://"),
        ({"type": "slack", "bot_token": PLANTED}, "channel is required with bot_token"),
        (
            {"type": "webhook", "url": "http://h", "secrets": PLANTED},
            "CHANNELS.channel: secrets must be a list, not str",
        ),
        ({"type": "webhook", "url": "http://h", "secrets": [PLANTED]}, 'secrets[0] must be "whsec_" and the base64'),
        ({"type": "mail", "to": "a@b", "from": "a@b", "server": {}}, "CHANNELS.channel: to must be a list, not str"),
        ({"type": "mail", "to": ["a@b"], "from": "a@b", "server": {"host": "h"}}, "server: security is required"),
        ({"type": "mail", "to": [PLANTED], "from": "a@b", "server": {"url": "smtp://h"}}, "to[0] must be an address"),
        ({"type": "mail", "to": ["a@b"], "from": "a@b", "server": {"url": PLANTED}}, "url must start with smtp://"),
    ],
)
def test_wrong_settings_named_without_secrets(settings: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as failure:
        attempt_once(settings, notice(), 1.0)
    assert PLANTED not in str(failure.value)
