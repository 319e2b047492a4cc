"""A channel by `apprise`: what a receiver is sent, and the result."""

from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import pytest

from lifesigns import Engine
from lifesigns.apprise_channel import AppriseChannel
from tests.services.alert_services import AppriseReceiver
from tests.services.receivers import Answer


def test_engine_sends_title_and_text_by_apprise() -> None:
    with AppriseReceiver() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        engine = Engine(alerts={"APPLICATION": "shop", "CHANNELS": {"other": {"type": "apprise", "url": url}}})
        sent = {"state": "delivered", "answer": "Accepted by apprise", "reference": None}
        assert engine.test_channel("other") == sent
        triggered, resolved = receiver.received
        assert "[shop] TEST: nothing is wrong" in triggered
        assert "This is a test: nothing is wrong" in triggered
        assert "[shop] TEST: it is over" in resolved
        receiver.script.append(Answer(500))
        attempt = engine.test_channel("other")
        assert (attempt["state"], attempt["answer"]) == ("failed", "apprise could not send it")


@pytest.mark.usefixtures("nothing_hidden")
def test_log_of_apprise_has_no_token_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    with AppriseReceiver() as receiver, caplog.at_level(1), caplog.at_level(1, "apprise"):
        url = f"json://user:PLANTED-password-1@127.0.0.1:{receiver.port}/PLANTED-token-7?key=PLANTED-key-42"
        engine = Engine(alerts={"APPLICATION": "shop", "CHANNELS": {"other": {"type": "apprise", "url": url}}})
        assert engine.test_channel("other")["state"] == "delivered"
        receiver.script.append(Answer(500))
        assert engine.test_channel("other")["state"] == "failed"
    assert {"apprise", "urllib3.connectionpool"} <= {record.name for record in caplog.records}
    assert "PLANTED" not in caplog.text


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ({"url": "nothing://planted"}, "alerts: CHANNELS.other.url must be a URL that apprise knows"),
        ({"url": 7}, "alerts: CHANNELS.other.url must be a URL that apprise knows"),
        ({}, "alerts: CHANNELS.other.url must be a URL that apprise knows"),
        ({"url": "ntfy://topic", "urls": []}, "alerts: CHANNELS.other has unknown fields: urls; known is: url"),
    ],
)
def test_mistake_names_field_and_not_the_url(channel: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as error:
        Engine(alerts={"CHANNELS": {"other": {"type": "apprise", **channel}}})
    assert "planted" not in str(error.value)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"needs apprise: pip install 'lifesigns\[apprise\]'"):
        AppriseChannel({"type": "apprise", "url": "ntfy://topic"})


def test_apprise_is_imported_only_where_it_is_configured() -> None:
    program = "import sys; from lifesigns import Engine; Engine(alerts={}); print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"
