"""What each action of a Django project does. All are called on a thread of the engine's, and say what they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.management import call_command, get_commands

from django_lifesigns.actions.celery_pool import CeleryPool
from django_lifesigns.actions.stale_connections import StaleConnections
from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.dotted import Dotted
from lifesigns import CheckFailed

# What the engine does by itself.
NATIVE = frozenset(["reload_gunicorn", "reset_breaker", "restart_wedged_worker", "run_command"])


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmCache:
    """Fills a cache: by a callable that does so itself, or key by key, each with what its callable returns."""

    callable: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    cache: str = "default"
    timeout: float | None = None

    def wrong(self) -> str | None:
        """Return what is wrong with the arguments."""
        if (self.callable is None) == (not self.keys):
            return "takes 'callable' or 'keys', and not both"
        if not isinstance(self.keys, Mapping):
            return "'keys' must be a dict: of each key the dotted path of what makes its value"
        if self.cache not in caches.settings:
            return f"'cache' names {self.cache!r}, which CACHES does not have"
        paths = [self.callable] if self.callable is not None else [*self.keys.values()]
        return next((text for path in paths if (text := _wrong_path(path, {}))), None)

    def __call__(self) -> str:
        if self.callable is not None:
            return _said(Dotted(self.callable)(), self.callable)
        try:
            cache = caches[self.cache]
        except InvalidCacheBackendError as error:
            raise CheckFailed(f"The cache {self.cache!r} cannot be used") from error
        limit: dict[str, Any] = {} if self.timeout is None else {"timeout": self.timeout}
        for key, path in self.keys.items():
            cache.set(key, Dotted(path)(), **limit)
        lost = [key for key in self.keys if cache.get(key) is None]
        if lost:
            raise CheckFailed(f"{len(lost)} of {len(self.keys)} keys are not there after they were set")
        return f"set {len(self.keys)} key{'' if len(self.keys) == 1 else 's'} of the cache {self.cache!r}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagementCommand:
    """Runs a command of `manage.py` in this process."""

    name: str
    args: tuple[str, ...] = ()

    def wrong(self) -> str | None:
        """Return what is wrong with the arguments."""
        if self.name not in get_commands():
            return f"'name' is {self.name!r}, which is no management command"
        is_list = isinstance(self.args, (list, tuple)) and all(isinstance(argument, str) for argument in self.args)
        return None if is_list else "'args' must be a list of strings"

    def __call__(self) -> str:
        call_command(self.name, *self.args, stdout=StringIO(), stderr=StringIO())
        return f"manage.py {self.name} has run"


@dataclass(frozen=True, kw_only=True, slots=True)
class DottedAction:
    """Calls what stands at a dotted path."""

    path: str
    arguments: Mapping[str, object] = field(default_factory=dict)

    def wrong(self) -> str | None:
        """Return what is wrong with it."""
        return _wrong_path(self.path, self.arguments)

    def __call__(self) -> str:
        return _said(Dotted(self.path)(**self.arguments), self.path)


KINDS: dict[str, Callable[..., Any]] = {
    "close_stale_connections": StaleConnections,
    "warm_cache": WarmCache,
    "restart_celery_pool": CeleryPool,
    "management_command": ManagementCommand,
}


def made(action: str, arguments: Mapping[str, object]) -> Callable[[], Any]:
    """Return the callable of an action that the engine does not know by itself.

    Raises:
        ValueError: an argument is wrong, or there is no such action.
    """
    if action in KINDS:
        try:
            kind = KINDS[action](**arguments)
        except TypeError as error:
            names = ", ".join(sorted(getattr(KINDS[action], "__dataclass_fields__", {}))) or "none"
            raise ValueError(f"'arguments' of {action} are {names}") from error
    elif "." in action:
        kind = DottedAction(path=action, arguments=arguments)
    else:
        raise ValueError(f"'action' is {action!r}, which is none")
    if (wrong := kind.wrong()) is not None:
        raise ValueError(f"{action} {wrong}")
    function = returning_connections(kind)
    function.action_name = action  # type: ignore[attr-defined]  # by it the engine calls it
    return function


def _wrong_path(path: object, arguments: Mapping[str, object]) -> str | None:
    if not isinstance(path, str):
        return f"names a {type(path).__name__} in the place of a dotted path"
    try:
        wrong = Dotted(path).wrong(arguments)
    except Exception as error:  # noqa: BLE001  # whatever its module raises
        return f"names {path!r}, which cannot be imported ({type(error).__name__})"
    return None if wrong is None else f"names {path!r}, which {wrong}"


def _said(returned: object, path: str) -> str:
    """Return what a project's own callable says of what it did; a result dict in error has failed."""
    if isinstance(returned, Coroutine):
        returned = asyncio.run(returned)
    if isinstance(returned, Mapping):
        text = str(returned.get("message", ""))
        if returned.get("status") == "error":
            raise CheckFailed(text or f"{path} failed")
        return text
    if returned is False:
        raise CheckFailed(f"{path} returned False")
    return returned if isinstance(returned, str) else f"{path} has run"
