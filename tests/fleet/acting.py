"""Hosts of a fleet that act, and what they did."""

from __future__ import annotations

from typing import Any

from tests.fleet.host import Hosts, Process
from tests.services import wait_until

FLEET: dict[str, Any] = {"scope": "fleet", "when": {"check": "paid", "runs": 2, "seconds": 0}}
HOST: dict[str, Any] = {"when": {"check": "local", "runs": 2, "seconds": 0}}


class ActingProcess(Process):
    """A process of one host (see `acting_worker`)."""

    module = "tests.fleet.acting_worker"

    def states(self) -> list[str]:
        """Return what is in its log of actions: the name and the state of each entry."""
        log = self.evaluate("[[entry['name'], entry['state']] for entry in engine.action_log()]")
        return [f"{name} {state}" for name, state in log]

    def texts(self) -> list[str]:
        return list(self.evaluate("[entry['in_words'] for entry in engine.action_log()]"))

    def disabled(self) -> list[str | None]:
        return [one["disabled_by"] for one in self.evaluate("engine.actions()")["actions"]]

    def knows(self, check: str, status: str = "healthy") -> bool:
        known = self.evaluate("engine.known()")["checks"].get(check, {})
        return bool(known.get("status") == status)


def start_acting(fleet: Hosts, hosts: str, actions: dict[str, dict[str, Any]]) -> list[ActingProcess]:
    """Start a process on each host, by letters; each knows that all is well when this returns."""
    fleet.process_type = ActingProcess
    processes = [process for process in fleet.start(*hosts, actions=actions) if isinstance(process, ActingProcess)]
    wait_until(lambda: all(process.knows("paid") and process.knows("local") for process in processes), timeout=90)
    return processes


def acted(fleet: Hosts, what: str = "start") -> list[tuple[float, str, int]]:
    """Return when, on which host and in which process an action started, or ended."""
    path = fleet.directory / "acted"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(float(at), host, int(pid)) for kind, at, host, pid in lines if kind == what]


def all_have(processes: list[ActingProcess], *states: str) -> None:
    """Wait until the log of each process has exactly these entries."""
    wait_until(lambda: all(process.states() == [*states] for process in processes), timeout=120)
