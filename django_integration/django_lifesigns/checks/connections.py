"""Gives Django's connections back after every Python check: the engine runs them on threads that no request ends."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.cache import close_caches
from django.db import connections
from django.utils.crypto import salted_hmac

from django_lifesigns.checks.kinds import Check, is_record
from lifesigns.specs import Spec

CONNECT_WITH = ("ENGINE", "HOST", "PORT", "NAME", "USER", "PASSWORD", "OPTIONS")
# As which objects are shown: they differ from process to process.
ADDRESSES = re.compile(" at 0x[0-9a-fA-F]+")


def runnable(check: Check) -> Check:
    """The check as an engine gets it."""
    return returning_connections(check) if callable(check) and not isinstance(check, Spec) else check


def identity(check: Check) -> str | None:
    """What distinguishes it from others of the same name, in every process; None where the engine knows by itself."""
    if isinstance(check, partial):
        return identity(check.func)
    if is_record(check) and type(check).__module__.startswith("django_lifesigns.checks"):
        # Of plain values: with those of fields that are not shown, too, since this is never shown.
        return f"{type(check).__qualname__} {dataclasses.astuple(cast('Any', check))} {_hash_of_settings()}"
    return None


def _hash_of_settings() -> str:
    """Return a hash, made with the secret key, of what these checks connect with: passwords are a part of it."""
    try:
        configured = sorted(connections.settings.items())
        databases = [(alias, [options.get(key) for key in CONNECT_WITH]) for alias, options in configured]
        known = databases, *(getattr(settings, name, None) for name in ("CACHES", "CHANNEL_LAYERS"))
        return salted_hmac("lifesigns", ADDRESSES.sub("", repr(known)), algorithm="sha256").hexdigest()[:16]
    except Exception:  # noqa: BLE001  # settings that Django cannot use are reported by the checks of the databases
        return ""


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
