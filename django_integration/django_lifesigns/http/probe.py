"""A view with the guards that a probe needs, however it is imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from django_lifesigns.http.apm import ignore
from django_lifesigns.http.headers import NOT_KEPT
from django_lifesigns.runtime.waiting import awaiting, blocking, is_in_event_loop, run

View = Callable[..., Coroutine[Any, Any, HttpResponse]]
METHODS = ("GET", "HEAD")


def _marker() -> None:
    """Stand for any coroutine function."""


# By which Django knows that a view is to be awaited; the attribute's name depends on the version of Python.
MARKS: dict[str, Any] = vars(markcoroutinefunction(_marker))


class EveryAlias(set[str]):
    """The databases in whose transactions a view does not run: all, also those that are configured later."""

    def __contains__(self, alias: object) -> bool:
        return True


class ProbeView:
    """A view from a coroutine function `(request, wait)`.

    In an event loop, and so under ASGI, it is a coroutine function and holds no thread while it waits; elsewhere it is
    an ordinary function, since under WSGI Django would start an event loop and a thread for each request (0.5 ms).

    Its attributes are copied by decorators that use `functools.wraps`. Django reads them:

    - `csrf_exempt`: a probe sends no cookie and changes nothing, so a POST gets 405 and no page about CSRF. What takes
      a POST checks that by itself, since the middleware that would is not there where it is answered before all others.
    - `login_required`: `LoginRequiredMiddleware` would redirect, and kubelet takes a redirect for success.
    - `_non_atomic_requests`: with ATOMIC_REQUESTS a transaction would be opened first, and hang with the database.
    """

    def __init__(self, view: View, vary: tuple[str, ...], methods: tuple[str, ...] = METHODS) -> None:
        update_wrapper(self, view)
        self._view = view
        self._methods = methods
        self._vary = ", ".join(("Accept", *vary))
        # A prefix such as `<tenant>/` in the project's URLs has arguments that are not for the probe.
        self._takes = frozenset(inspect.signature(view).parameters) - {"request", "wait"}
        self.csrf_exempt = True
        self.login_required = False
        self._non_atomic_requests = EveryAlias()

    @property
    def methods_with_body(self) -> frozenset[str]:
        """The methods that it takes beside those of a probe."""
        return frozenset(self._methods) - {*METHODS}

    def __getattr__(self, name: str) -> Any:
        if name in MARKS and is_in_event_loop():
            return MARKS[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __call__(self, request: HttpRequest, *_: object, **arguments: object) -> Any:
        """Return the response, or in an event loop the coroutine that responds."""
        return self.arespond(request, **arguments) if is_in_event_loop() else self.respond(request, **arguments)

    def respond(self, request: HttpRequest, **arguments: object) -> HttpResponse:
        """Respond, and wait on this thread for it."""
        return self._refuse(request) or self._finish(run(self._view(request, blocking, **self._own(arguments))))

    async def arespond(self, request: HttpRequest, **arguments: object) -> HttpResponse:
        """Respond in the running event loop."""
        return self._refuse(request) or self._finish(await self._view(request, awaiting, **self._own(arguments)))

    def _own(self, arguments: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in arguments.items() if name in self._takes} if arguments else arguments

    def _refuse(self, request: HttpRequest) -> HttpResponse | None:
        if request.method in self._methods:
            return None
        response = HttpResponseNotAllowed(self._methods, headers={**NOT_KEPT, "Content-Length": "0"})
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    def _finish(self, response: HttpResponse) -> HttpResponse:
        # What caches may keep is the same for all callers, and says itself what it depends on.
        if response.headers.get("Cache-Control") == NOT_KEPT["Cache-Control"]:
            response.headers["Vary"] = self._vary
        if response.status_code < 500:
            ignore()
        return response


def probe(*vary: str, methods: tuple[str, ...] = METHODS) -> Callable[[View], ProbeView]:
    """Make a probe of a coroutine function whose answer depends on these headers, besides the query."""
    return lambda view: ProbeView(view, vary, methods)


def probe_of(view: object) -> ProbeView | None:
    """Return the probe that a view is, or that it decorates."""
    while view is not None and not isinstance(view, ProbeView):
        view = getattr(view, "__wrapped__", None)
    return view
