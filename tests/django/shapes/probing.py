"""Loads a project's application as a server does, requests its probes, and prints the responses as JSON.

python -m tests.django.shapes.probing wsgi|asgi
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib import import_module
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

# As kubelet connects: by the address of the pod, from that of the node, without TLS.
HOST, CLIENT = "10.1.2.3:8000", "10.1.2.1"
STARTUP_SECONDS = 15.0

Answer = tuple[int, dict[str, Any]]


def by_wsgi(application: Any, path: str) -> Answer:
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_HOST": HOST, "REMOTE_ADDR": CLIENT, "wsgi.input": BytesIO()}
    setup_testing_defaults(environ)
    codes: list[int] = []
    body = application(environ, lambda status, _: codes.append(int(status.partition(" ")[0])))
    try:
        return codes[0], _json(b"".join(body))
    finally:
        if hasattr(body, "close"):
            body.close()


async def by_asgi(application: Any, path: str) -> Answer:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", HOST.encode())],
        "client": (CLIENT, 40000),
        "server": ("10.1.2.3", 8000),
    }
    messages: list[dict[str, Any]] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in received:
            return message
        await asyncio.Event().wait()  # the client stays until it is answered
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await application(scope, receive, send)
    return int(messages[0]["status"]), _json(b"".join(message.get("body", b"") for message in messages[1:]))


def main(interface: str) -> None:
    application = import_module(f"project.{interface}").application
    loop = asyncio.new_event_loop()

    def get(path: str) -> Answer:
        if interface == "wsgi":
            return by_wsgi(application, path)
        return loop.run_until_complete(by_asgi(application, path))

    answers = {path: get(path) for path in ("/health/", "/ready/")}
    end = time.monotonic() + STARTUP_SECONDS
    # A startup probe comes again.
    while (startup := get("/startup/"))[0] != 200 and time.monotonic() < end:
        time.sleep(0.2)
    answers["/startup/"] = startup
    loop.close()
    from django_lifesigns.runtime.engine import get_engine

    results = get_engine().run()["checks"]
    print(json.dumps({"answers": answers, "results": results}, default=str))


def _json(body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError:
        return {"body": body.decode(errors="replace")[:500]}
    return found


if __name__ == "__main__":
    main(sys.argv[1])
