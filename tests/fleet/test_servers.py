"""A fleet on each kind of server: over TLS as a user who may do little, and on a cluster."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.checks.redis_server import Configured
from tests.fleet.host import hosts
from tests.process.host import ROOT, where_shared
from tests.services import free_port, wait_until
from tests.services.certificates import certificates
from tests.services.redis import Redis

pytestmark = where_shared


def test_tls_and_the_rights_that_the_guide_names_suffice(tmp_path: Path) -> None:
    found = re.search(r"^user lifesigns on >password (.*)$", (ROOT / "docs/guides/fleet.md").read_text(), re.MULTILINE)
    assert found is not None
    with Redis(tls=True) as redis:
        assert redis.command("ACL", "SETUSER", "lifesigns", "reset", "on", ">password", *found[1].split()) == "OK"
        url = redis.url_for(0, user="lifesigns", password="password")
        with hosts(tmp_path, redis, url=url, tls={"ca": str(certificates().ca)}) as fleet:
            alerts: dict[str, Any] = {"CHANNELS": {}}
            first, second = fleet.start("a", "b", ttl=60, breaker=True, background=True, alerts=alerts)
            assert first.run()["message"] == second.run()["message"]
            first.evaluate("engine.breaker('paid').force_open()")
            first.evaluate("engine.breaker('paid').reset()")
            wait_until(lambda: first.fleet()["states"]["ready"] == 2, timeout=60)
            wait_until(lambda: first.decides() != second.decides(), timeout=60)
            for process in (first, second):
                process.evaluate("engine.silence({'check': ['x']}, 1, 2e9, host)")
            wait_until(lambda: len(first.evaluate("engine.silences()")) == 2, timeout=60)
            wait_until(lambda: redis.command("HLEN", "lifesigns:{shop}:requests-1") == "0", timeout=60)
            assert redis.command("ACL", "LOG") == ""
            assert [line for line in first.evaluate("lines") if "cannot be used" in line] == []


def test_cluster_hosts_meet_by_any_of_its_nodes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = []
        for slots in (("0", "8191"), ("8192", "16383")):
            bus = f"cluster-port {free_port()}"
            node = stack.enter_context(Configured("cluster-enabled yes", bus, "cluster-node-timeout 2000"))
            node.command("CLUSTER", "ADDSLOTSRANGE", *slots)
            nodes.append((node, bus.split()[1]))
        (one, _), (two, bus_of_two) = nodes
        one.command("CLUSTER", "MEET", two.host, str(two.port), bus_of_two)
        wait_until(lambda: all("cluster_state:ok" in node.command("CLUSTER", "INFO") for node, _ in nodes), timeout=60)
        with (
            hosts(tmp_path, one, cluster=True) as fleet,
            hosts(tmp_path, two, cluster=True) as others,
        ):
            (first,) = fleet.start("a", ttl=60, background=True)
            (second,) = others.start("b", ttl=60, background=True)
            assert first.run()["message"] == second.run()["message"]
            assert len(fleet.runs()) == 1
            wait_until(lambda: second.fleet()["states"].get("ready") == 2, timeout=60)
            # All is on one of them.
            assert sorted(node.command("DBSIZE") == "0" for node, _ in nodes) == [False, True]
