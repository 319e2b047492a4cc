"""What keeps hosts of a fleet from acting all at once: a fault that most have, and others that act already."""

from __future__ import annotations

import time

from tests.fleet.acting import HOST, acted, start_acting
from tests.fleet.host import Hosts
from tests.process.host import where_shared
from tests.services import wait_until
from tests.services.redis import Redis

pytestmark = where_shared
HOSTS = "abcdefgh"


def at_once(fleet: Hosts) -> int:
    """Return how many hosts have acted at the same time, at most."""
    changes = [(at, 1) for at, _, _ in acted(fleet)] + [(at, -1) for at, _, _ in acted(fleet, "end")]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def test_hosts_with_a_fault_of_their_own__a_quarter_acts_at_once(fleet: Hosts, redis: Redis) -> None:
    (fleet.directory / "acting_seconds").write_text("3")
    (fleet.directory / "heals").write_text("HOST.own_broken")
    own = {"when": {"check": "own_HOST", "runs": 2, "seconds": 0}}
    processes = start_acting(fleet, HOSTS, {"own": own})
    wait_until(lambda: int(redis.command("ZCARD", "lifesigns:{shop}:seen:ready")) == len(HOSTS), timeout=60)
    for host in HOSTS:
        (fleet.directory / f"{host}.own_broken").touch()
    wait_until(lambda: all("own healed" in process.states() for process in processes), timeout=300)
    assert sorted(host for _, host, _ in acted(fleet)) == [*HOSTS]
    assert at_once(fleet) == 2
    waited = [text for process in processes for text in process.texts() if "instances act already" in text]
    assert waited
    assert {text.removeprefix("own stopped: ") for text in waited} == {
        "2 of 8 instances act already; it waits for one of them"
    }
    wait_until(lambda: redis.command("ZCARD", "lifesigns:{shop}:acting") == "0", timeout=60)


def test_more_than_half_fail__none_acts_and_the_last_of_them_does(fleet: Hosts) -> None:
    (fleet.directory / "heals").write_text("HOST.broken")
    processes = start_acting(fleet, "abcd", {"heal": HOST})
    for host in "abc":
        (fleet.directory / f"{host}.broken").touch()
    wait_until(lambda: all("heal stopped" in process.states() for process in processes[:3]), timeout=120)
    everywhere = "heal stopped: the dependency fails everywhere (3 of 4 instances)"
    assert [process.texts() for process in processes] == [[everywhere], [everywhere], [everywhere], []]
    time.sleep(3)
    assert acted(fleet) == []
    for host in "bc":
        (fleet.directory / f"{host}.broken").unlink()
    wait_until(lambda: "heal healed" in processes[0].states(), timeout=120)
    assert [host for _, host, _ in acted(fleet)] == ["a"]
