"""Eight processes with one store: one acts for all, within the limits; none does where the store cannot be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.actions.noted import ROUNDS, acted, actions_of, break_down, log, noted, repair, started
from tests.alerts.receiver import Receiver
from tests.process.host import Start, Worker, needs_root, runs, store, where_shared
from tests.services import wait_until

pytestmark = where_shared

NUMBER = 8
LONG = 60.0


@pytest.fixture
def workers(directory: Path, start: Start) -> Callable[..., list[Worker]]:
    """Processes that have started, of which the check `counted` starts an action that notes each of its runs."""

    def make(number: int = NUMBER, **options: Any) -> list[Worker]:
        entry = options.pop("entry", {})
        found = [start(actions=actions_of(directory, **entry), **ROUNDS, **options) for _ in range(number)]
        started(found)
        return found

    return make


def test_action__one_of_eight_acts_and_all_see_that_it_helped(
    workers: Callable[..., list[Worker]], directory: Path
) -> None:
    found = workers(entry={"heals": True, "verify": 60})
    break_down(directory)
    wait_until(lambda: log(found[0]) == ["note healed"], LONG)
    assert acted(directory) == 1
    assert [log(worker) for worker in found] == [["note healed"]] * NUMBER


def test_dependency_down_for_all__no_action_after_the_limits_and_the_incident_says_why(
    workers: Callable[..., list[Worker]], directory: Path
) -> None:
    with Receiver() as receiver:
        alerts = {"CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "RETRIES": [0.1]}
        found = workers(entry={"limit": {"per_hour": 5, "per_incident": 2}, "verify": 1}, alerts=alerts)
        break_down(directory)
        wait_until(lambda: any("fails everywhere" in text for text in noted(found[0], "counted")), LONG)
        assert acted(directory) == 2
        (said,) = (text for text in noted(found[0], "counted") if "fails everywhere" in text)
        assert said.startswith("note stopped: the dependency fails everywhere (in each of ")
        assert said.endswith(" processes), though it ran twice; a person is needed")
        entries = log(found[0])
        more_runs(directory, 40)
        assert (acted(directory), log(found[0])) == (2, entries)


def test_store_removed__limits_are_still_known(workers: Callable[..., list[Worker]], directory: Path) -> None:
    found = workers(3, entry={"limit": {"per_hour": 2, "per_incident": 9}, "verify": 1})
    break_down(directory)
    wait_until(lambda: acted(directory) == 2, LONG)
    for _ in range(3):
        # Each looks once a second; what only one has seen yet may be lost with the store.
        wait_until(lambda: len({tuple(log(worker)) for worker in found}) == 1, LONG)
        shutil.rmtree(directory / "store")
        wait_until(lambda: _is_made(directory), LONG)
        repair(directory)
        wait_until(lambda: found[0].evaluate("engine.check('counted', refresh=True)")["status"] == "healthy")
        break_down(directory)
        more_runs(directory, 40)
    assert acted(directory) == 2


def more_runs(directory: Path, number: int) -> None:
    """Return when checks have run so often from now on, in all processes."""
    before = len(runs(directory))
    wait_until(lambda: len(runs(directory)) >= before + number, LONG)


def _is_made(directory: Path) -> bool:
    try:
        return store(directory).exists()
    except (ValueError, OSError):
        return False


@needs_root
@pytest.mark.parametrize("options", ["size=64k,ro", "size=16k"], ids=["read-only", "full"])
def test_store_unusable__nothing_acts_without_a_lease(
    options: str, mounted: Callable[[str], None], workers: Callable[..., list[Worker]], directory: Path
) -> None:
    mounted(options)
    if "ro" not in options:
        with pytest.raises(OSError, match="space"):
            (directory / "store" / "filler").write_bytes(bytes(64 << 10))
    found = workers(2)
    break_down(directory)
    for worker in found:
        wait_until(lambda worker=worker: "note stopped" in log(worker), LONG)  # type: ignore[misc]
        (entry,) = worker.evaluate("engine.action_log()")
        assert entry["text"] == "stopped: the store cannot be used, so others may act, too"
    assert acted(directory) == 0


@needs_root
def test_store_full_later__nothing_acts_without_a_lease(
    mounted: Callable[[str], None], workers: Callable[..., list[Worker]], directory: Path
) -> None:
    mounted("size=256k")
    workers(2)
    with pytest.raises(OSError, match="space"):
        (directory / "store" / "filler").write_bytes(bytes(1 << 20))
    # What no slot has yet needs room that is not there.
    (directory / "size").write_text("60000")
    break_down(directory)
    more_runs(directory, 80)
    assert acted(directory) <= 1, "one of them at most had the lease for all"
