"""A shop whose only check fails when a test says so, in an engine of this process with actions."""

from __future__ import annotations

from typing import Any

from lifesigns import Engine
from tests.services import wait_until

WHEN = {"check": "cache", "runs": 2, "seconds": 0}
FAST = {"when": WHEN, "cooldown": 0.2, "verify": 1.5, "dry_run": False}


class Shop:
    """An engine whose critical check ``cache`` fails while `broken` says so; `calls` are those of its actions."""

    def __init__(self, actions: dict[str, Any], *, starts: bool = True, **options: Any) -> None:
        # What the callables refer to, which outlive this object otherwise.
        self._state = state = {"broken": not starts}
        self.calls: list[str] = []
        self.engine = Engine(default_ttl=0.1, application="shop", actions=actions, **options)

        def cache() -> dict[str, str]:
            return {"status": "error" if state["broken"] else "healthy", "message": "no answer"}

        self.engine.register("cache", cache)
        self.engine.start_background()
        if starts:
            # As a probe of `/startup` does: the service looks once a second, and may come too late to see it pass.
            wait_until(lambda: self.engine.has_started(self.engine.run()["status"] == "healthy"))

    def break_down(self) -> None:
        self._state["broken"] = True

    def heal(self) -> None:
        self._state["broken"] = False

    def states(self) -> list[str]:
        return [f"{entry['name']} {entry['state']}" for entry in self.engine.action_log()]

    def wait(self, *states: str, timeout: float = 30) -> None:
        try:
            wait_until(lambda: self.states() == list(states), timeout)
        except TimeoutError:
            assert self.states() == list(states)


def shop_with(**entries: Any) -> tuple[Shop, list[str]]:
    """A shop with actions that note their calls, and heal it where they are called ``heal``."""
    calls: list[str] = []
    shops: list[Shop] = []

    def act(name: str) -> str:
        calls.append(name)
        if name == "heal":
            shops[0].heal()
        return f"{name} was called"

    actions = {name: {**FAST, "action": act, "arguments": {"name": name}, **entry} for name, entry in entries.items()}
    shops.append(Shop(actions))
    return shops[0], calls
