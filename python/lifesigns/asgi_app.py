"""An ASGI application that answers probes about an engine, to mount in any other."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from lifesigns._core import UnknownCheckError, drain, draining, metrics_format
from lifesigns.access import Access
from lifesigns.arguments import did_you_mean
from lifesigns.wedge import watch_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence

    from lifesigns.engine import Engine

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Scope]]
    Send = Callable[[Scope], Awaitable[None]]

JSON = "application/json"
# What is kept of the budget for all that is not waiting.
MARGIN = 0.05


class Response:
    """What is answered, and with which status code."""

    __slots__ = ("body", "code", "content_type", "headers")

    def __init__(self, code: int, body: str, content_type: str = JSON, **headers: str) -> None:
        self.code, self.body, self.content_type, self.headers = code, body, content_type, headers


class ProbeApp:
    """The application: see `asgi`."""

    def __init__(
        self, engine: Engine, access: Access, *, startup: Engine | None, ready_budget: float, ready_max_age: float
    ) -> None:
        self._engine = engine
        self._access = access
        self._startup = startup
        self._budget = max(0.0, ready_budget - MARGIN)
        self._ready_max_age = ready_max_age
        self._is_prepared = False
        self._refreshes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the start and the end of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                drain()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        """Renew results in the background, so that no probe waits for a dependency."""
        if not self._refreshes:
            self._refreshes = True
            self._engine.start_background(critical_max_age=self._ready_max_age)
            watch_loop()

    async def _respond(self, scope: Scope, send: Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self._start()
        path = scope["path"]
        root = scope.get("root_path", "")
        if root and path.startswith(f"{root}/"):
            path = path[len(root) :]
        response = await self._answer(path.removesuffix("/"), scope, headers)
        more = {"content-type": response.content_type, "cache-control": "no-store", **response.headers}
        body = response.body.encode()
        more["content-length"] = str(len(body))
        pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in more.items()]
        await send({"type": "http.response.start", "status": response.code, "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, path: str, scope: Scope, headers: dict[bytes, str]) -> Response:
        probes = {
            "/alive": self._alive,
            "/ready": self._ready,
            "/startup": self._started,
            "/health": self._health,
            "/metrics": self._metrics,
        }
        # The check of `/health/<check>`, the group of `/group/<group>`.
        kind, _, name = path[1:].partition("/")
        if kind == "health" and name.startswith("group/"):
            kind, name = "group", name.removeprefix("group/")
        if path not in probes and (kind not in ("health", "group") or not name or "/" in name):
            return Response(404, "No such probe\n", "text/plain; charset=utf-8")
        if scope["method"] not in ("GET", "HEAD"):
            return Response(405, "GET and HEAD only\n", "text/plain; charset=utf-8", allow="GET, HEAD")
        peer = (scope.get("client") or (None,))[0]
        details = self._access.shows_details(peer, headers.get(b"authorization", ""))
        if name:
            return await (self._group(name, details) if kind == "group" else self._check(name, details))
        return await probes[path](details, headers)

    async def _alive(self, _details: bool, _headers: dict[bytes, str]) -> Response:
        # That this runs is what the probe finds out.
        return _said(200, "alive", "Service is alive")

    async def _ready(self, details: bool, _headers: dict[bytes, str]) -> Response:
        if draining():
            return _draining()
        report: Any = await self._engine.arun(
            critical_only=True, deadline=self._budget, max_age=self._ready_max_age, details=details
        )
        if report["status"] != "unhealthy":
            return _said(200, "ready", "Service is ready")
        failing = {name: result for name, result in report["checks"].items() if result["status"] == "error"}
        if not failing:  # there is no check at all
            return _said(503, "not_ready", report["message"])
        return _said(503, "not_ready", f"Critical checks failing: {', '.join(failing)}", details=failing)

    async def _started(self, details: bool, _headers: dict[bytes, str]) -> Response:
        runs = [self._engine.arun(critical_only=True, deadline=self._budget, details=details)]
        if self._startup is not None:
            runs.append(self._startup.arun(deadline=self._budget, details=details))
        reports: list[Any] = await asyncio.gather(*runs)
        passing, *prepared = (report["status"] != "unhealthy" for report in reports)
        # What has to be there first was there once.
        self._is_prepared |= all(prepared)
        has_started = self._engine.has_started(passing) and self._is_prepared
        checks = {name: result for report in reports for name, result in report["checks"].items()}
        if has_started:
            return _said(200, "started", "Service has started", checks=checks)
        return _said(503, "starting", "Service is starting", checks=checks)

    async def _health(self, details: bool, _headers: dict[bytes, str]) -> Response:
        sweep = await self._engine.asweep(deadline=self._budget)
        return Response(503 if sweep.status == "unhealthy" else 200, sweep.json(details))

    async def _check(self, name: str, details: bool) -> Response:
        try:
            result = await self._engine.acheck(name, deadline=self._budget, details=details)
        except UnknownCheckError:
            return _unknown("check", name, self._engine.names)
        return Response(503 if result["status"] == "error" else 200, json.dumps(result))

    async def _group(self, name: str, details: bool) -> Response:
        if name not in self._engine.groups:
            return _unknown("group", name, self._engine.groups)
        if draining():
            return _draining()
        sweep = await self._engine.asweep(group=name, deadline=self._budget, max_age=self._ready_max_age)
        return Response(503 if sweep.status == "unhealthy" else 200, sweep.json(details))

    async def _metrics(self, details: bool, headers: dict[bytes, str]) -> Response:
        if not details:
            message = "Metrics require a bearer token or an allowed network"
            response = _said(401, "unauthorized", message)
            response.headers["www_authenticate"] = "Bearer"
            return response
        openmetrics, content_type = metrics_format(headers.get(b"accept", ""))
        # It may read the store that processes share.
        return Response(200, await asyncio.to_thread(self._engine._native.metrics, openmetrics), content_type)


def asgi(
    engine: Engine,
    *,
    tokens: Iterable[str] = (),
    networks: Iterable[str] = (),
    show_details: Literal["authorized", "always", "never"] = "authorized",
    ready_budget: float = 0.8,
    ready_max_age: float = 5.0,
    startup: Engine | None = None,
) -> ProbeApp:
    """Return an ASGI application that answers the probes.

    They are `/alive`, `/ready`, `/startup`, `/health`, `/health/<check>`, `/group/<group>` and `/metrics`, each with or
    without a slash at its end, below the path at which it is mounted. It answers as a probe server does (see
    `lifesigns.serve`, also for the arguments), but in JSON only, and from the event loop that it watches: a loop that
    is stuck gives no answer at all. It blocks neither the loop nor a thread of its executor, but for metrics.

    Raises:
        ValueError: an argument is wrong.
    """
    access = Access(tokens=tokens, networks=networks, show_details=show_details)
    for name, seconds in (("ready_budget", ready_budget), ("ready_max_age", ready_max_age)):
        if not seconds > 0:
            raise ValueError(f"{name} must be a positive number of seconds, not {seconds}")
    return ProbeApp(engine, access, startup=startup, ready_budget=ready_budget, ready_max_age=ready_max_age)


def _unknown(what: str, name: str, known: Sequence[str]) -> Response:
    shown = name[:100]
    nearest = did_you_mean(shown, known)
    message = f"Unknown {what} {shown!r}" + (f". {nearest}" if nearest else "")
    return _said(404, "unknown", message, known=known)


def _draining() -> Response:
    return _said(503, "draining", "Service is shutting down")


def _said(code: int, status: str, message: str, **more: object) -> Response:
    timestamp = datetime.now(timezone.utc).isoformat()
    return Response(code, json.dumps({"status": status, "timestamp": timestamp, "message": message, **more}))
