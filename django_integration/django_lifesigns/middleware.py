"""Answers the probes before the host check, redirects, sessions and authentication of the project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import SyncToAsync, iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from django_lifesigns.http.routes import Route, route_of
from django_lifesigns.runtime import worker
from django_lifesigns.settings.placement import is_first


class ProbeMiddleware:
    """Belongs first in `MIDDLEWARE`: kubelet sends the pod's address as Host, plain HTTP and no cookie.

    The paths are those at which the project includes the probes, with or without the slash at the end; all others are
    the project's own. Where it cannot be the first, see `django_lifesigns.probes`.

    The server that loads it also starts what `worker` describes.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not apps.is_installed("django_lifesigns"):  # each probe would fail with an error of its models
            raise ImproperlyConfigured("ProbeMiddleware needs 'django_lifesigns' in INSTALLED_APPS.")
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        self.is_first = is_first()
        if self.is_async:
            markcoroutinefunction(self)
        worker.on_load()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            worker.watch_event_loop()
        route = route_of(request.path_info)
        if route is None:
            return self.get_response(request)
        return self._arespond(request, route) if self.is_async else route.respond(request)

    async def _arespond(self, request: HttpRequest, route: Route) -> HttpResponse:
        # Of other middleware a connection to a database may be open there.
        if self.is_first:
            _release_thread()
        return await route.arespond(request)


def _release_thread() -> None:
    """Let the thread end on which Django has sent `request_started`: it would be held until the response.

    Django's ASGI handler gives each request a thread of its own for what is synchronous, and makes another one when the
    response is there.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    # One that was given with the context, as newer versions of asgiref allow, is not ours to end.
    if context is None or getattr(context, "_executor", None) is not None:
        return
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)
