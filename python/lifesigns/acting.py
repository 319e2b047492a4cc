"""Actions of an engine: what it does by itself about checks that fail."""

from __future__ import annotations

import os
import weakref
from collections.abc import Coroutine
from functools import partial

from lifesigns import _core, callables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lifesigns.callable_set import CallableSet

# Switches all actions of a process off, read when its engine is made.
ENVIRONMENT = "LIFESIGNS_ACTIONS"
# Its values that do not: a switch that is mistyped is off.
ON = frozenset(["", "1", "true", "yes", "on"])
RESTART_WEDGED = "restart_wedged_worker"
FLEET = "fleet"


class FleetRequiredError(ValueError):
    """An action is the fleet's, and all else about it is right; but the engine is part of no fleet."""


class Acting:
    """The actions of an engine that was made with ``actions``; all methods raise ValueError of one made without.

    They raise TimeoutError where the store is in use by another process for longer than a second.
    """

    _native: _core.Engine
    _callables: CallableSet
    _application: str | None
    _alerts: _core.Alerts | None
    _actions: _core.Actions | None = None
    _fleet_actions: Mapping[str, str]

    def actions(self) -> dict[str, Any]:
        """Return what is configured: ``off`` (what has switched all actions off, or None) and ``actions``.

        Each of these is a dict: ``name``, ``action``, ``when`` (``check``, ``status``, ``runs``, ``seconds``; None: it
        is a rung, or runs by hand), ``limit`` (``per_hour``, ``per_incident``), ``cooldown``, ``verify``, ``timeout``
        (seconds), ``scope``, ``then``, ``dry_run`` and ``disabled_by``.
        """
        return self._with_actions().configured()

    def action_log(self) -> list[dict[str, Any]]:
        """Return what actions did in the last 24 hours, and when one was due and did not run: oldest first.

        Each is a dict: ``id``, ``name``, ``action``, ``check``, ``cause`` (``check``, ``ladder``, ``person``),
        ``author``, ``reason``, ``state`` (``running``, ``verifying``, ``done``, ``healed``, ``not_healed``,
        ``unverified``, ``failed``, ``lost``, ``would_act``, ``stopped``), ``text``, ``in_words``, ``fence`` (the number
        of the lease under which it ran, 0: none), ``process`` (host and process id), ``at`` and ``ended_at`` (seconds
        since 1970), ``revision`` (grows with each change) and ``confirmed``.
        """
        return self._with_actions().entries()

    def run_action(self, name: str, author: str) -> None:
        """Have an action run once, also a dry one, in the first process of the scope that can, within 10 s.

        Its trigger, limits and pause do not count; a switch that is off does. `action_log` has its outcome. One of
        the fleet runs on the host that holds the fleet's lease; while the fleet cannot be asked it waits, for an hour.

        Raises:
            LookupError: there is no such action.
            ValueError: each process runs it for itself, or it is about a worker that is wedged.
        """
        self._with_actions().request(name, author)

    def switch_action(self, name: str | None, is_on: bool, author: str) -> bool:
        """Disable an action in all processes that share, or enable it again; False if that has changed nothing.

        With ``share="fleet"`` these are all hosts, within 10 s, or once the fleet can be asked again.

        Args:
            name: None: all of them.
            is_on: whether it may run from now on.
            author: who wants that, as the log and `actions` say.

        Raises:
            LookupError: there is no such action.
        """
        return self._with_actions().switch(name, is_on, author)

    def confirm_actions(self, revisions: Mapping[str, int]) -> None:
        """Note which revisions of the entries of `action_log`, by their ids, a table has."""
        self._with_actions().confirm(dict(revisions))

    def _with_actions(self) -> _core.Actions:
        if self._actions is None:
            raise ValueError("This engine has no actions: make it with Engine(actions={...})")
        return self._actions

    def _start_actions(self, actions: Mapping[str, Any], share: str) -> None:
        """Act by these settings from the first run on."""
        from lifesigns.identity import default_application
        from lifesigns.wedge import stop_at_exit

        settings, functions = _split(actions)
        application = self._application or default_application()
        ids = {name: _core.new_callable_id() for name in functions}
        self._actions = _core.Actions(self._native, application, settings, ids, self._alerts, _switched_off())
        self._fleet_actions = _of_fleet(settings)
        if share != "fleet":
            _refuse_fleet(settings)
        stop_at_exit()
        for name, callable_id in ids.items():
            callables.remember(callable_id, partial(_act, functions[name]), name)
        if ids:
            self._callables.add_background(ids)
            weakref.finalize(self, callables.forget, list(ids.values())).atexit = False


def is_of_fleet(engine: Acting, check: str) -> bool:
    """Return whether an action of the fleet is about that check."""
    return check in engine._fleet_actions


def _of_fleet(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the actions whose scope is the fleet, by the check that they are about."""
    those = {name: entry for name, entry in settings.items() if entry.get("scope") == FLEET}
    return {entry["when"]["check"]: name for name, entry in those.items() if entry.get("when")}


def _refuse_fleet(settings: Mapping[str, Any]) -> None:
    for name, entry in settings.items():
        if entry.get("scope") == FLEET:
            raise FleetRequiredError(
                f"actions: {name}.scope 'fleet' needs Engine(share='fleet'); without a fleet 'host' is right"
            )


def _switched_off() -> str | None:
    is_on = os.environ.get(ENVIRONMENT, "").strip().lower() in ON
    return None if is_on else f"the environment ({ENVIRONMENT})"


def _split(actions: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return the settings with names in the place of callables, and the callables with their arguments, by action."""
    settings: dict[str, Any] = {}
    functions: dict[str, Callable[[], Any]] = {}
    for name, given in actions.items():
        settings[name] = given
        if not isinstance(given, dict):
            continue
        action, arguments = given.get("action"), given.get("arguments", {})
        if callable(action):
            if not isinstance(arguments, dict):
                raise ValueError(f"actions: {name}.arguments must be a dict, not {type(arguments).__name__}")
            functions[name] = partial(action, **arguments)
            settings[name] = {**given, "action": name_of(action), "arguments": {}}
        elif action == RESTART_WEDGED and isinstance(arguments, dict):
            settings[name] = {**given, "arguments": {**arguments, "signal": _dump_signal()}}
    return settings, functions


def name_of(action: Callable[..., Any]) -> str:
    """Return how an action that is a callable is called: as its ``action_name`` says, or where it is written."""
    named = getattr(action, "action_name", None)
    if isinstance(named, str):
        return named
    inner = action if hasattr(action, "__qualname__") else type(action)
    return f"{inner.__module__}.{inner.__qualname__}"


def _dump_signal() -> int | None:
    from lifesigns.wedge import dump_signal

    try:
        return dump_signal()
    except ValueError:  # it is restarted without its stacks
        return None


def _act(function: Callable[[], Any]) -> Any:
    """Call the function of an action, and return what it says as a result, or a coroutine of that."""
    returned = function()
    return _awaited(returned) if isinstance(returned, Coroutine) else _said(returned)


async def _awaited(coroutine: Coroutine[Any, Any, Any]) -> dict[str, Any]:
    return _said(await coroutine)


def _said(returned: Any) -> dict[str, Any]:
    from lifesigns.exceptions import CheckFailed

    if returned is False:
        raise CheckFailed("the action returned False")
    if returned is not None and returned is not True and not isinstance(returned, str):
        raise CheckFailed(f"the action returned {type(returned).__name__}, which says nothing")
    return {"status": "healthy", "message": returned if isinstance(returned, str) else ""}
