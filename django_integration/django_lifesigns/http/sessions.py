"""Whether a session is that of a staff user, found out within a deadline on one thread, wherever sessions are kept."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from functools import lru_cache
from importlib import import_module

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user
from django.core.signals import setting_changed
from django.http import HttpRequest

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.runtime.waiting import Wait
from lifesigns import Job, JobError

logger = logging.getLogger("django_lifesigns")

# A store that takes longer makes the caller anonymous. While a lookup is stuck, further ones do not wait at all.
SECONDS = 0.5


async def is_staff(request: HttpRequest, wait: Wait) -> bool:
    """Return whether the request has the session of an active staff user; False where that cannot be found out."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if not key or not apps.is_installed("django.contrib.auth"):
        return False
    if is_under_test():  # another thread does not see what a test's transaction holds
        return await wait(_is_of_staff, sync_to_async(_is_of_staff), key)
    return await _lookups().find(key, wait)


class Question:
    """One session key, and whether it is that of a staff user once it is known."""

    __slots__ = ("found", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.found: bool | None = None


class SessionLookups:
    """Looks up the sessions of all requests in one job: one that hangs holds one thread, however many requests wait."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._job = Job(returning_connections(self._look_up), timeout=SECONDS)

    async def find(self, key: str, wait: Wait) -> bool:
        """Return whether it is the session of a staff user, within `SECONDS`."""
        question = Question(key)
        self._waiting.append(question)
        end = time.monotonic() + SECONDS
        try:
            # A run that was in progress may have been about to end.
            while question.found is None:
                await wait(self._job.run, self._job.arun, deadline=max(0.0, end - time.monotonic()))
        except (TimeoutError, JobError):
            return False
        finally:
            with suppress(ValueError):  # it was taken
                self._waiting.remove(question)
        return question.found

    def _look_up(self) -> None:
        while self._waiting:
            try:
                question = self._waiting.popleft()
            except IndexError:  # its caller has left
                return
            question.found = _is_of_staff(question.key)


def _is_of_staff(key: str) -> bool:
    request = HttpRequest()
    try:
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        # Django would end or rename a session whose password has changed, and this response sets no cookie.
        for write in ("flush", "cycle_key", "save"):
            setattr(request.session, write, _do_nothing)
        user = get_user(request)
        return bool(user.is_active and getattr(user, "is_staff", False))
    except Exception as error:  # noqa: BLE001  # whatever a store of sessions or users raises: the caller is anonymous
        logger.debug("session: cannot be looked up (%s)", type(error).__name__)
        return False


def _do_nothing(*_: object, **__: object) -> None:
    pass


@lru_cache(1)
def _lookups() -> SessionLookups:
    return SessionLookups()


def _reset(**_: object) -> None:
    _lookups.cache_clear()


setting_changed.connect(_reset)
