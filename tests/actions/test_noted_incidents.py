"""What an incident and its alert say of actions."""

from __future__ import annotations

from tests.actions.plain_shop import FAST, WHEN, Shop
from tests.alerts.receiver import Receiver
from tests.services import wait_until


def test_incident__says_what_a_dry_run_would_have_done_and_so_does_its_alert() -> None:
    with Receiver() as receiver:
        alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1]}
        shop = Shop({"warm": {"action": print, "when": WHEN}}, alerts=alerts)
        shop.break_down()

        def noted() -> list[str]:
            found = [one["timeline"] for one in shop.engine.incidents() if one["check"] == "cache"]
            return [entry["text"] for timeline in found for entry in timeline if entry["kind"] == "action"]

        wait_until(lambda: len(noted()) == 1, 30)
        assert noted()[0].startswith("warm would have acted (dry run): cache failed ")
        shop.heal()
        wait_until(lambda: "resolved" in receiver.kinds, 30)
        sent = [body["data"] for body in receiver.bodies if body["data"]["check"] == "cache"]
        assert sent[-1]["actions"] == noted()


def test_incident__says_what_was_done_and_so_does_its_alert() -> None:
    with Receiver() as receiver:
        alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, "RETRIES": [0.1]}
        shop = Shop({"warm": {**FAST, "action": lambda: "warmed"}}, alerts=alerts)
        shop.break_down()
        wait_until(lambda: len(receiver.kinds) >= 1)

        def noted() -> list[str]:
            timelines = [found["timeline"] for found in shop.engine.incidents() if found["check"] == "cache"]
            return [entry["text"] for entry in timelines[0] if entry["kind"] == "action"] if timelines else []

        wait_until(lambda: any("did not help: cache still fails" in text for text in noted()))
        assert noted()[0].startswith("warm ")
        assert "cache failed" in noted()[0]
        shop.heal()
        wait_until(lambda: "resolved" in receiver.kinds)
        sent = [body["data"] for body in receiver.bodies if body["data"]["check"] == "cache"]
        assert sent[-1]["actions"][:2] == noted()[:2]
