"""Whose session a request has, found out within a deadline on one thread, wherever sessions are kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user
from django.core.signals import setting_changed
from django.http import HttpRequest

from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.runtime.lookups import Lookups
from django_lifesigns.runtime.waiting import Wait
from lifesigns import JobError

logger = logging.getLogger("django_lifesigns")

# A store that takes longer makes the caller anonymous. While a lookup is stuck, further ones do not wait at all.
SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class StaffUser:
    """An active staff user, and which of the permissions that were asked for the user has."""

    name: str
    permissions: frozenset[str]


# The key of a session, and the permissions that are asked for.
Wanted = tuple[str, tuple[str, ...]]


async def is_staff(request: HttpRequest, wait: Wait) -> bool:
    """Return whether the request has the session of an active staff user; False where that cannot be found out."""
    return await staff_user(request, wait) is not None


async def staff_user(request: HttpRequest, wait: Wait, *permissions: str) -> StaffUser | None:
    """Return the active staff user of the request's session; None where there is none, or it cannot be found out."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key or not apps.is_installed("django.contrib.auth"):
        return None
    if is_under_test():  # another thread does not see what a test's transaction holds
        return await wait(_staff_user, sync_to_async(_staff_user), (key, permissions))
    try:
        return await _lookups().find((key, permissions), wait)
    except (TimeoutError, JobError):
        return None


def _staff_user(wanted: Wanted) -> StaffUser | None:
    key, permissions = wanted
    request = HttpRequest()
    try:
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        # Django would end or rename a session whose password has changed, and this response sets no cookie.
        for write in ("flush", "cycle_key", "save"):
            setattr(request.session, write, _do_nothing)
        user: Any = get_user(request)
        if not (user.is_active and getattr(user, "is_staff", False)):
            return None
        return StaffUser(user.get_username(), frozenset(name for name in permissions if user.has_perm(name)))
    except Exception as error:  # noqa: BLE001  # whatever a store of sessions or users raises: the caller is anonymous
        logger.debug("session: cannot be looked up (%s)", type(error).__name__)
        return None


def _do_nothing(*_: object, **__: object) -> None:
    pass


@lru_cache(1)
def _lookups() -> Lookups[Wanted, StaffUser | None]:
    return Lookups(_staff_user, SECONDS)


def _reset(**_: object) -> None:
    _lookups.cache_clear()


setting_changed.connect(_reset)
