"""A WSGI or ASGI application with the probes in front: what `django_lifesigns.probes` returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from io import BytesIO
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest, get_path_info
from django.http import HttpResponse, HttpResponseBadRequest

from django_lifesigns.http.routes import route_of
from django_lifesigns.runtime import worker

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
# Of the body of a request.
MOST_BYTES = 65_536
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def wrap(application: Any) -> WsgiProbes | AsgiProbes:
    """Return the application with the probes in front, of the same kind."""
    worker.on_load()
    if iscoroutinefunction(application) or iscoroutinefunction(getattr(application, "__call__", None)):  # noqa: B004
        return AsgiProbes(application)
    return WsgiProbes(application)


class WsgiProbes:
    """Answers probes, and hands all other requests to a WSGI application."""

    def __init__(self, application: WsgiApplication) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        route = route_of(get_path_info(environ))
        if route is None:
            return self.application(environ, start_response)
        respond: Any = convert_exception_to_response(route.respond)
        response: HttpResponse = respond(WSGIRequest(environ))
        start_response(f"{response.status_code} {response.reason_phrase}", _headers(response))
        return [_body(response, environ["REQUEST_METHOD"])]


class AsgiProbes:
    """Answers probes in the event loop, without a thread, and hands all else to an ASGI application."""

    def __init__(self, application: AsgiApplication) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http":
            worker.watch_event_loop()
            route = route_of(scope["path"].removeprefix(get_script_prefix(scope) or ""))
        if route is None:
            await self.application(scope, receive, send)
            return
        respond: Any = convert_exception_to_response(route.arespond)
        content = await _received(receive) if scope["method"] in route.view.methods_with_body else b""
        try:
            request = ASGIRequest(scope, BytesIO(content))
        except UnicodeDecodeError:  # a query that is not percent-encoded; Django's own handler answers so, too
            response: HttpResponse = HttpResponseBadRequest()
        else:
            response = await respond(request)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _headers(response)]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": _body(response, scope["method"])})


def _headers(response: HttpResponse) -> list[tuple[str, str]]:
    cookies = [("Set-Cookie", cookie.output(header="").strip()) for cookie in response.cookies.values()]
    return [*response.items(), *cookies]


async def _received(receive: Receive) -> bytes:
    """Return the body of a request, as much of it as our forms may have."""
    content, is_more = b"", True
    while is_more and len(content) < MOST_BYTES:
        message = await receive()
        content += message.get("body", b"")
        is_more = message.get("more_body", False)
    return content[:MOST_BYTES]


def _body(response: HttpResponse, method: str) -> bytes:
    return b"" if method == "HEAD" else response.content
