"""Django's protection against forged requests, for views that are answered before the project's middleware."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token


class _Check(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def csrf_token(request: HttpRequest) -> str:
    """Return the token for the forms of a page; `finish` has to send its cookie with the page."""
    _with_session(request)
    _middleware().process_request(request)
    return get_token(request)


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """Add the cookie, if the browser has none yet."""
    _middleware().process_response(request, response)
    session = getattr(request, "session", None)
    if settings.CSRF_USE_SESSIONS and session is not None and session.modified:
        session.save()


def is_forged(request: HttpRequest) -> bool:
    """Return whether a request to change something does not come from a page of this site.

    Raises:
        DisallowedHost: it names a host that is none of `ALLOWED_HOSTS`.
    """
    _with_session(request)
    middleware = _middleware()
    middleware.process_request(request)
    return middleware.process_view(request, _view, (), {}) is not None


def _with_session(request: HttpRequest) -> None:
    """Where the token is kept in the session, a request needs one that no middleware has given it yet."""
    if settings.CSRF_USE_SESSIONS and not hasattr(request, "session"):
        store: Callable[[str | None], Any] = import_module(settings.SESSION_ENGINE).SessionStore
        request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))


def _middleware() -> _Check:
    return _Check(_view)


def _view(request: HttpRequest) -> HttpResponse:
    """Stand for a view that is not exempt."""
    return HttpResponse()
