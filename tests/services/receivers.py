"""HTTP receivers of alerts on loopback that verify what they get, and answer by script where they are given one."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.services.certificates import Pair

if TYPE_CHECKING:
    from typing_extensions import Self

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a receiver answers; `half` breaks off in the head, `cut` in the body, and `silent` waits for the end."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    mode: Literal["whole", "half", "cut", "silent"] = "whole"
    takes: bool = False
    """Whether the request counts all the same: as where an answer is lost on its way."""


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """Return the body; Fault unless it is a JSON object that is said to be one."""
        demand(self.headers.get("content-type") == "application/json", "not application/json")
        value = json.loads(self.body)
        demand(isinstance(value, dict), "no object")
        return dict(value)


class Fault(Exception):
    """A request that the service would refuse: its text, and the answer."""

    def __init__(self, text: str, answer: Answer | None = None) -> None:
        super().__init__(text)
        self.answer = answer


def demand(condition: object, text: str, answer: Answer | None = None) -> None:
    if not condition:
        raise Fault(text, answer)


def units(text: str) -> int:
    """The length of a text as UTF-16 counts: no service counts more."""
    return len(text.encode("utf-16-le")) // 2


class Receiver:
    """Subclasses `verify` a request and `take` what it says. Each connection is for one request."""

    host = "127.0.0.1"

    def __init__(self, tls: Pair | None = None) -> None:
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.script: deque[Answer] = deque()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._serve(self)

            do_GET = do_PUT = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing: the log is for what goes wrong."""

        class Server(ThreadingHTTPServer):
            daemon_threads = False
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that leave are part of the tests."""

        self._server = Server((self.host, 0), Handler)
        self.port: int = self._server.server_address[1]
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            # The handshake in the connection's own thread.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def verify(self, request: Request) -> Any:
        """Return what a request says; Fault if the service would refuse it."""
        raise NotImplementedError

    def take(self, said: Any) -> Answer:
        """Note what an accepted request says, and answer it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        request = Request(url.path, parse_qs(url.query), headers, body)
        with self.lock:
            self.requests.append(request)
            scripted = self.script.popleft() if self.script else None
            try:
                demand(handler.command == "POST", handler.command, Answer(405))
                said = self.verify(request)
                answer = self.take(said) if scripted is None or scripted.takes else None
            except Fault as fault:
                self.faults.append(str(fault))
                answer = fault.answer or Answer(400)
        self._answer(handler, scripted or answer or Answer(200))

    def _answer(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.mode == "silent":
            self.closing.wait(30)
            return
        data = answer.body.encode()
        lines = [f"HTTP/1.1 {answer.status} Whatever", "Connection: close", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        if answer.mode == "half":
            head, data = head[: len(head) // 2], b""
        elif answer.mode == "cut":
            data = data[: len(data) // 2]
        with suppress(OSError):  # the client has left
            handler.wfile.write(head + data)


class WebhookReceiver(Receiver):
    """Verifies signatures with the reference implementation of Standard Webhooks: of any of its `secrets`."""

    KEYS = (
        *("dedup_key", "incident_id", "application", "check", "status", "severity", "since", "message"),
        *("blocked", "instances", "runbook", "url"),
    )

    def __init__(self, *secrets: str, tls: Pair | None = None) -> None:
        super().__init__(tls)
        self.secrets = secrets
        self.events: list[Json] = []
        self.ids: list[str] = []

    def verify(self, request: Request) -> tuple[str, Json]:
        from standardwebhooks import Webhook, WebhookVerificationError

        said: Json | None = None
        for secret in self.secrets:
            with suppress(WebhookVerificationError):
                said = Webhook(secret).verify(request.body, dict(request.headers))
        demand(said == request.json(), "not signed by a secret of mine", Answer(401))
        assert said is not None
        demand("." not in request.headers["webhook-id"], "a dot in the id")
        demand(set(said) == {"type", "timestamp", "data"}, f"keys {sorted(said)}")
        demand(said["type"].startswith("incident."), said["type"])
        extra = set(said["data"]) - {"acknowledged_by", "is_flapping"}
        demand(extra == set(self.KEYS), f"keys of data: {sorted(said['data'])}")
        demand(set(said["data"]["instances"]) == {"failing", "total", "names"}, "keys of instances")
        return request.headers["webhook-id"], said

    def take(self, said: tuple[str, Json]) -> Answer:
        identity, event = said
        # Idempotent, as a receiver has to be: an id that is known already is confirmed again.
        if identity not in self.ids:
            self.ids.append(identity)
            self.events.append(event)
        return Answer(204)
