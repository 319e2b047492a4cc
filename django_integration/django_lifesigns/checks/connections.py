"""Gives Django's connections back after every Python check: the engine runs them on threads that no request ends."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, cast

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.cache import close_caches
from django.db import connections
from django.utils.crypto import salted_hmac

from django_lifesigns.checks.kinds import Check, is_record
from lifesigns.redaction import is_secret
from lifesigns.specs import Spec

USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
# By the module of a check: where its alias is configured.
SETTINGS = {
    "cache": "CACHES",
    "channels": "CHANNEL_LAYERS",
    "database": "DATABASES",
    "redis": "CACHES",
    "storage": "STORAGES",
}


def runnable(check: Check) -> Check:
    """The check as an engine gets it."""
    return returning_connections(check) if callable(check) and not isinstance(check, Spec) else check


def identity(check: Check) -> str | None:
    """What distinguishes it from others of the same name, in every process; None where the engine knows by itself."""
    if isinstance(check, partial):
        return identity(check.func)
    if is_record(check) and type(check).__module__.startswith("django_lifesigns.checks"):
        # Of plain values: with those of fields that are not shown, too, since this is never shown.
        return f"{type(check).__qualname__} {dataclasses.astuple(cast('Any', check))} {_hash_of_secrets(check)}"
    return None


def _hash_of_secrets(check: object) -> str:
    """Return a hash, made with the secret key, of the secrets with which a check connects; empty if there are none.

    What else the settings say of its alias distinguishes applications: see `runtime.sharing`.
    """
    alias, setting = getattr(check, "alias", None), SETTINGS.get(type(check).__module__.rpartition(".")[2])
    try:
        configured: Any = connections.settings if setting == "DATABASES" else getattr(settings, str(setting), {})
        secrets = repr([*_secrets(configured.get(alias))])
        return salted_hmac("lifesigns", secrets, algorithm="sha256").hexdigest()[:16] if secrets != "[]" else ""
    except Exception:  # noqa: BLE001  # settings that Django cannot use are reported by the checks of what they configure
        return ""


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_secret(str(key)) and item:
                yield str(item)
            else:
                yield from _secrets(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, str):
        yield from USER_INFO.findall(value)


def returning_connections(check: Callable[[], Any]) -> Callable[[], Any]:
    """The same check, which leaves no database or cache connection of its thread open, even if it raises."""

    def run() -> object:
        try:
            value = check()
        finally:
            close()
        return _finish(value) if isinstance(value, Coroutine) else value

    # As `functools.partial` has it: by this the engine knows it in every process, and distinguishes it from others.
    run.func = check  # type: ignore[attr-defined]
    return run


async def _finish(check: Coroutine[object, object, object]) -> object:
    # Without a context of its own, the ORM's part of every async check of the process would go to one shared thread,
    # and one hanging query would hold up all the others.
    async with ThreadSensitiveContext():
        try:
            return await check
        finally:
            await sync_to_async(close)()


def has_database(alias: str) -> bool:
    """Return whether there is a database of that alias: Django's engine for projects without one can do nothing."""
    return bool(connections.settings[alias]["ENGINE"] != "django.db.backends.dummy")


def close() -> None:
    """Close what the current thread has open."""
    connections.close_all()
    close_caches()
