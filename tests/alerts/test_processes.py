"""Incidents of several processes: killed, forked, ended and wedged ones."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lifesigns import Engine
from tests.alerts.receiver import Receiver
from tests.process.host import ROOT, where_shared
from tests.process.probes import Script
from tests.services import wait_until
from tests.services.alert_services import SlackReceiver

# `LIFESIGNS_KILLS=300` for the long run.
KILLS = int(os.environ.get("LIFESIGNS_KILLS", "100"))

SHOP = """
import json
receiver = json.loads(sys.argv[1])
options = json.loads(sys.argv[2])
alerts = {"CHANNELS": {"hook": receiver}, "FAILURES": 1, "SUCCESSES": 1, "RETRIES": [0.1], "WEDGED_AFTER": 1.5}
engine = lifesigns.Engine(default_ttl=0.05, application="shop", alerts=alerts, log=False, **options)
"""


def shop(script: str, receiver: Receiver, **options: str) -> Script:
    return Script(SHOP + script, json.dumps(receiver.channel), json.dumps(options))


@where_shared
def test_workers__killed_at_random__receiver_knows_the_truth(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    choice = random.Random(seed)

    def one_in_three(number: int) -> int | str:
        if choice.random() > 1 / 3:
            return 202
        return 500 if choice.random() < 0.5 else "lost"

    with Receiver(one_in_three) as receiver:
        arguments = [str(tmp_path), json.dumps(receiver.channel), str(KILLS), str(seed)]
        command = [sys.executable, "-W", "ignore", "-m", "tests.alerts.kill", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "settled\n"
            store = tmp_path / "store"
            reader = Engine(share="host", application="shop", store_path=store, alerts={"CHANNELS": {}})
            wait_until(lambda: not receiver.is_open("flips") and not reader.incidents(open_only=True), timeout=60)
            assert receiver.kinds.count("triggered") >= 3, f"seed {seed}"
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "settled\n"
            wait_until(lambda: receiver.is_open("flips"), timeout=60)
            (incident,) = (one for one in reader.incidents(open_only=True) if one["check"] == "flips")
            assert receiver.view["lifesigns/shop/flips"] == ("incident.triggered", incident["id"])
        finally:
            process.communicate(timeout=60)
    assert receiver.violations == [], f"seed {seed}"


@where_shared
def test_restart__open_incident_is_found_and_resolved_by_the_next_process(tmp_path: Path) -> None:
    script = """
engine.register("database", lambda: {version}, timeout=3.0 + {version})
say(engine.run()["status"])
"""
    with Receiver() as receiver:
        options = {"share": "host", "store_path": str(tmp_path)}
        # Each ends at once: what it has found is sent before.
        for expected in (["triggered"], ["triggered"]):
            with shop(script.format(version=False), receiver, **options) as process:
                assert process.line() == "unhealthy"
                process.finish()
            assert receiver.kinds == expected
        with shop(script.format(version=True), receiver, **options) as process:
            assert process.line() == "healthy"
            process.finish()
        assert receiver.kinds == ["triggered", "resolved"], "another version of the check, and its incident"


@where_shared
def test_restart__bot_of_slack_turns_the_message_of_the_former_process_green(tmp_path: Path) -> None:
    script = """
engine.register("database", lambda: {well})
engine.run()
"""
    with SlackReceiver("xoxb-1") as slack:
        channel = {"type": "slack", "bot_token": slack.token, "channel": "C1", "api_url": f"{slack.url}/api"}
        for well in (False, True):
            options = json.dumps({"share": "host", "store_path": str(tmp_path)})
            with Script(SHOP + script.format(well=well), json.dumps(channel), options) as process:
                process.finish()
        (message,) = slack.messages.values()
        assert message["attachments"][0]["color"] == "#2eb886"
        assert message["text"].startswith("[shop] RESOLVED: database is healthy")
        assert slack.faults == []


def test_fork__child_alerts_by_itself() -> None:
    script = """
engine.register("database", lambda: False)
engine.run()
pid = os.fork()
if pid == 0:
    engine.run()
    say("child")
    time.sleep(60)
say("parent")
time.sleep(60)
"""
    with Receiver() as receiver, shop(script, receiver) as process:
        assert {process.line(), process.line()} == {"child", "parent"}
        wait_until(lambda: receiver.kinds == ["triggered", "triggered"])


@pytest.mark.parametrize("share", ["process", pytest.param("host", marks=where_shared)])
def test_wedged_worker__is_alerted_while_c_code_keeps_the_interpreter(share: str, tmp_path: Path) -> None:
    script = """
import ctypes
engine.start_background()
say("started")
input()
ctypes.PyDLL(None).sleep(6)
say("woke")
input()
"""
    options = {"share": share, "store_path": str(tmp_path)} if share == "host" else {}
    with Receiver() as receiver, shop(script, receiver, **options) as process:
        assert process.line() == "started"
        process.send_line()
        wait_until(lambda: receiver.is_open("wedged_worker"))
        data = receiver.bodies[-1]["data"]
        assert str(process.process.pid) in data["message"]
        assert (data["severity"], data["instances"]["failing"]) == ("critical", 1)
        assert process.line() == "woke"
        wait_until(lambda: not receiver.is_open("wedged_worker"), timeout=20)
        process.finish()


def test_exit__receiver_that_hangs__takes_two_seconds_at_most() -> None:
    script = """
import atexit
engine.register("database", lambda: False)
engine.run()
started = time.monotonic()
atexit.register(lambda: say("after", time.monotonic() - started))
engine._alerts.flush(0)
"""
    with Receiver(lambda number: "hang") as receiver, shop(script, receiver) as process:
        process.finish(timeout=10)
        assert receiver.requests == 1
