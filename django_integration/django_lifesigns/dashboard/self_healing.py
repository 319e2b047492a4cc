"""What self-healing did, and would have done, as the dashboard has it: of all checks, or of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TypedDict

# The latest.
SHOWN = 20


class ActionRunEntry(TypedDict):
    """A run of an action of self-healing, or a time when it was due and did not run; states as `Engine.action_log`."""

    id: str
    name: str
    check: str | None
    cause: str
    author: str
    reason: str
    state: str
    text: str
    process: str
    at: str
    ended_at: str | None


class ActionEntry(TypedDict):
    """An action: the check that starts it, None for a rung of a ladder; what follows it; who has disabled it."""

    name: str
    action: str
    check: str | None
    then: str | None
    dry_run: bool
    disabled_by: str | None
    last: ActionRunEntry | None


class ActionsEntry(TypedDict):
    """Actions and what they did, the latest first; `off`: who has switched off all of them."""

    off: str | None
    actions: list[ActionEntry]
    runs: list[ActionRunEntry]


def actions_entry(
    configured: Mapping[str, Any], log: Iterable[Mapping[str, Any]], check: str | None = None
) -> ActionsEntry:
    """Return the actions, whether they may run, and what they did, the latest first.

    Args:
        configured: as `Engine.actions` has them.
        log: entries as `Engine.action_log` has them, of the same run the newest one last.
        check: only those for this check.
    """
    runs = sorted({each["id"]: each for each in log}.values(), key=lambda each: -each["at"])
    wanted = {one["name"] for one in configured["actions"]}
    if check is not None:
        wanted = _meant_for(check, configured["actions"])
        runs = [each for each in runs if each["check"] == check]
    last = {each["name"]: each for each in reversed(runs)}
    return {
        "off": configured["off"],
        "actions": [_action(one, last.get(one["name"])) for one in configured["actions"] if one["name"] in wanted],
        "runs": [run_entry(each) for each in runs[:SHOWN]],
    }


def latest_runs(log: Iterable[Mapping[str, Any]]) -> dict[str, ActionRunEntry]:
    """Return the latest run of each check, of entries that are oldest first."""
    return {name: run_entry(each) for name, each in {each["check"]: each for each in log if each["check"]}.items()}


def run_entry(entry: Mapping[str, Any]) -> ActionRunEntry:
    """Return one run, or one time when an action was due and did not run."""
    return {
        "id": entry["id"],
        "name": entry["name"],
        "check": entry["check"],
        "cause": entry["cause"],
        "author": entry["author"],
        "reason": entry["reason"],
        "state": entry["state"],
        "text": entry["text"],
        "process": entry["process"],
        "at": _iso(entry["at"]),
        "ended_at": None if entry["ended_at"] is None else _iso(entry["ended_at"]),
    }


def _meant_for(check: str, actions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the actions that a check starts, with the further rungs of their ladders."""
    by_name = {one["name"]: one for one in actions}
    found: set[str] = set()
    waiting = [one["name"] for one in actions if one["when"] and one["when"]["check"] == check]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting.append(by_name[name]["then"])
    return found


def _action(one: Mapping[str, Any], last: Mapping[str, Any] | None) -> ActionEntry:
    return {
        "name": one["name"],
        "action": one["action"],
        "check": one["when"]["check"] if one["when"] else None,
        "then": one["then"],
        "dry_run": one["dry_run"],
        "disabled_by": one["disabled_by"],
        "last": None if last is None else run_entry(last),
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
