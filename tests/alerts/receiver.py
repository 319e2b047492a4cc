"""A receiver of webhooks that knows each incident by its dedup key, and records what breaks the rules."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

# What a request is answered with: a status, "lost" (taken, and no answer), "hang" (taken, no answer until the end), or
# a status with headers.
Answer = int | str | tuple[int, dict[str, str]]


class Receiver:
    """Takes webhooks on a free port of the loopback interface.

    Like any receiver of Standard Webhooks it ignores a ``webhook-id`` that it has taken before.
    """

    def __init__(self, answer: Callable[[int], Answer] = lambda number: 202) -> None:
        self.answer = answer
        self.requests = 0
        self.bodies: list[dict[str, Any]] = []
        # By dedup key: the last type, and the incident that it was about.
        self.view: dict[str, tuple[str, str]] = {}
        self.violations: list[str] = []
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            receiver: ClassVar[Receiver] = self
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.receiver._receive(self)

            def do_GET(self) -> None:
                self.receiver._receive(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: Any) -> None:
                """Senders are killed while they send."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    @property
    def channel(self) -> dict[str, Any]:
        return {"type": "webhook", "url": self.url, "secrets": [SECRET]}

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def kinds(self) -> list[str]:
        """What was taken, in order, each notice once."""
        return [body["type"].removeprefix("incident.") for body in self.bodies]

    def of(self, check: str) -> list[str]:
        """What was taken of a check, in order, each notice once."""
        return [body["type"].removeprefix("incident.") for body in self.bodies if body["data"]["check"] == check]

    def is_open(self, check: str) -> bool:
        """Whether it takes the incident of that check for open."""
        keys = [key for key in self.view if key.endswith(f"/{check}")]
        return any(self.view[key][0] != "incident.resolved" for key in keys)

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            self.requests += 1
            answer = self.answer(self.requests)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        if status in ("lost", "hang") or (isinstance(status, int) and status < 300):
            self._take(handler.headers.get("webhook-id", ""), body)
        if status == "hang":
            self._closing.wait(60)
        if isinstance(status, str):
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _take(self, webhook_id: str, body: bytes) -> None:
        if not body:
            return
        with self._lock:
            if webhook_id in self._taken:
                return
            self._taken.add(webhook_id)
            notice = json.loads(body)
            self.bodies.append(notice)
            key, incident = notice["data"]["dedup_key"], notice["data"]["incident_id"]
            before, of = self.view.get(key, ("", ""))
            if notice["type"] != "incident.triggered" and (before in ("", "incident.resolved") or of != incident):
                self.violations.append(f"{notice['type']} of {incident} after {before or 'nothing'} of {of}")
            if notice["type"] == "incident.triggered" and before not in ("", "incident.resolved") and of != incident:
                self.violations.append(f"a second incident is open: {incident} beside {of}")
            self.view[key] = (notice["type"], incident)
