"""The Valkey that the overlay of a fleet brings: hosts meet in it, and it is of no other use."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.deploy.kubernetes import ROOT, build, container
from tests.fleet.host import hosts
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.valkey import Valkey, valkey_here

pytestmark = [pytest.mark.services, where_shared, valkey_here]

PASSWORD = "0123abcd"
RIGHTS = re.compile(r"user lifesigns on >\S+ (~lifesigns:\* [^\n\"]+)")


class Shipped(Valkey):
    """Started by the command of the container, with a port and a directory of this machine."""

    def prepare(self) -> None:
        pass

    def arguments(self) -> list[str]:
        *shell, script = container("fleet", "shop-fleet")["command"]
        script = script.replace("/run/valkey", str(self.directory)).replace("port 6379", f"port {self.port}")
        return [*shell, script.replace("exec valkey-server", f"exec {self.program()}")]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "FLEET_PASSWORD": PASSWORD}

    def ready(self) -> bool:
        # Its one user may not PING.
        return "NOPERM" in self.command("PING")

    def command(self, *arguments: str) -> str:
        return self.command_as("lifesigns", PASSWORD, *arguments)


def test_hosts__meet_in_the_shipped_store(tmp_path: Path) -> None:
    with Shipped() as store:
        url = store.url_for(0, user="lifesigns", password=PASSWORD)
        with hosts(tmp_path, store, url=url) as fleet:
            first, second = fleet.start("a", "b", ttl=60, breaker=True, background=True)
            assert first.run()["message"] == second.run()["message"]
            first.evaluate("engine.breaker('paid').force_open()")
            wait_until(lambda: first.fleet()["states"]["ready"] == 2, timeout=60)
            assert [line for line in first.evaluate("lines") if "cannot be used" in line] == []
        assert "NOPERM" in store.command("SET", "another:key", "1")
        assert "NOPERM" in store.command("FLUSHALL")


def test_rights__are_those_of_the_guide() -> None:
    guide = RIGHTS.search((ROOT / "docs/guides/fleet.md").read_text())
    shipped = RIGHTS.search(container("fleet", "shop-fleet")["command"][-1])
    assert guide is not None
    assert shipped is not None
    assert guide[1].split() == shipped[1].split()


def test_policy__lets_pods_of_the_application_alone_in() -> None:
    (rule,) = build("fleet")["NetworkPolicy/shop-fleet"]["spec"]["ingress"]
    (peer,) = rule["from"]
    (expression,) = peer["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == {"shop", "shop-worker"}
