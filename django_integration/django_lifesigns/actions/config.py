"""From `LIFESIGNS["ACTIONS"]` to the keyword `actions` of `Engine`. What is wrong is left out, and the rest acts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django_lifesigns.actions.kinds import KINDS, NATIVE, made
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import (
    ACTS_NEVER,
    UNKNOWN_ACTION,
    UNKNOWN_CHECK,
    WRONG_VALUE,
    Problem,
    did_you_mean,
    sentences,
)
from lifesigns import Engine
from lifesigns.acting import FLEET, FleetRequiredError

WHERE = "LIFESIGNS['ACTIONS']"
LEFT_OUT = "It is left out until it is put right."
RESTART_WEDGED = "restart_wedged_worker"


def engine_actions(conf: Conf, scopes: Mapping[str, str | None]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the keyword `actions` of an engine, empty where nothing is configured, and what is wrong.

    Args:
        conf: the settings.
        scopes: of all checks that the settings may use or that the report shows, by name; None: it is not known.
    """
    problems: list[Problem] = []
    found: dict[str, dict[str, Any]] = {}
    for name, entry in conf.actions.items():
        where = f"{WHERE}[{name!r}]"
        try:
            found[name] = _action(name, entry, conf)
        except UnknownActionError as error:
            problems.append(Problem(UNKNOWN_ACTION, f"{where}: unknown action.", str(error)))
        except ValueError as error:
            text = str(error).removeprefix("actions: ").removeprefix(f"{name}.").removeprefix(f"{name} ")
            problems.append(Problem(WRONG_VALUE, sentences(f"{where}: {text}"), LEFT_OUT))
        else:
            problems += _of_checks(where, found[name], conf, scopes)
            if _is_refused(where, found[name], conf, scopes, problems):
                del found[name]
    _link(found, problems)
    return found, problems


class UnknownActionError(ValueError):
    """There is no action of that name."""


def _action(name: str, entry: object, conf: Conf) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise ValueError("must be a dict with an 'action'")
    action, arguments = entry.get("action"), entry.get("arguments", {})
    if not isinstance(action, str):
        raise ValueError("'action' must be a name or a dotted path")
    if not isinstance(arguments, Mapping):
        raise ValueError("'arguments' must be a dict")
    if action in NATIVE:
        own = {"wedged_after": conf.wedged_after, **arguments} if action == RESTART_WEDGED else {**arguments}
        found = {**entry, "arguments": own}
    elif action in KINDS or "." in action:
        found = {**entry, "action": made(action, arguments), "arguments": {}}
    else:
        raise UnknownActionError(did_you_mean(action, {*KINDS, *NATIVE}))
    # Alone, so that the engine says what is wrong with this one.
    _try({name: {key: value for key, value in found.items() if key != "then"}})
    return found


def _try(actions: Mapping[str, Any]) -> None:
    """Raise ValueError if an engine of a fleet would refuse them."""
    with suppress(FleetRequiredError):
        Engine(actions=actions, log=False)


def _is_refused(
    where: str, entry: Mapping[str, Any], conf: Conf, scopes: Mapping[str, str | None], problems: list[Problem]
) -> bool:
    """Say why an action cannot be the fleet's, if it is to be."""
    if entry.get("scope") != FLEET:
        return False
    when = entry.get("when")
    check = when["check"] if isinstance(when, Mapping) else None
    if conf.share != FLEET:
        message = f"{where}: 'scope' is 'fleet', and LIFESIGNS['SHARE'] is not."
        hint = "Set 'scope' to 'host', or SHARE to 'fleet'."
    elif check is not None and scopes.get(check) not in (FLEET, None):
        message = f"{where}: 'scope' is 'fleet', and each host checks {check!r} for itself."
        hint = f"Set 'scope' to 'host', or that of LIFESIGNS['CHECKS'][{check!r}] to 'fleet'."
    else:
        return False
    problems.append(Problem(WRONG_VALUE, message, f"{hint} {LEFT_OUT}"))
    return True


def _of_checks(where: str, entry: Mapping[str, Any], conf: Conf, names: Mapping[str, str | None]) -> list[Problem]:
    """What keeps an action that is right from ever running."""
    if entry["action"] == RESTART_WEDGED:
        if conf.share == "process":
            message = f"{where} never acts: with SHARE = 'process' no worker knows that others serve."
            return [Problem(ACTS_NEVER, message, "Set SHARE to 'host'.")]
        return []
    when = entry.get("when")
    check = when.get("check") if isinstance(when, Mapping) else None
    if isinstance(check, str) and check not in names:
        return [Problem(UNKNOWN_CHECK, f"{where} names an unknown check {check!r}.", did_you_mean(check, names))]
    return []


def _link(found: dict[str, dict[str, Any]], problems: list[Problem]) -> None:
    """Leave out what the ladders lack, and ladders that never end."""
    for name, entry in found.items():
        following = entry.get("then")
        if following is not None and following not in found:
            message = f"{WHERE}[{name!r}]: 'then' names {following!r}, which is no action that can be used."
            problems.append(Problem(UNKNOWN_ACTION, message, did_you_mean(str(following), found)))
            found[name] = {**entry, "then": None}
    rungs = {entry["then"] for entry in found.values() if entry.get("then")}
    for name, entry in found.items():
        if "when" not in entry and entry["action"] != RESTART_WEDGED and name not in rungs:
            message = f"{WHERE}[{name!r}] runs by hand only: it has no 'when', and is the 'then' of no other."
            problems.append(Problem(ACTS_NEVER, message, "Say when it is to run, or ignore this."))
    try:
        _try(found)
    except ValueError as error:  # each is right, and not all of them together
        text = str(error).removeprefix("actions: ")
        problems.append(Problem(WRONG_VALUE, sentences(f"{WHERE}: {text}"), "No action runs until that is put right."))
        found.clear()
