"""The process behind `HttpApis`: a threaded HTTP/1.1 server with keep-alive and, where wanted, TLS."""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.services.http_answers import PATHS, Json, Request, not_found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lifesigns-test", ""
    # An answer in one segment: two of them wait for each other's acknowledgement (40 ms).
    wbufsize = -1
    disable_nagle_algorithm = True

    keys: ClassVar[dict[str, str]]
    control: ClassVar[Json] = {}
    requests: ClassVar[Counter[str]] = Counter(google=0, openai=0, anthropic=0)
    lock = threading.Lock()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_requests":
            self.answer(200, json.dumps(self.requests))
        elif url.path in PATHS:
            self.answer_as(*PATHS[url.path])
        else:
            missing = not_found(url.path)
            self.answer(missing.status, json.dumps(missing.body))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/_control":
            type(self).control = json.loads(body)
            self.answer(200, "{}")
        else:
            self.answer(405, "{}")

    def answer_as(self, name: str, api: Any) -> None:
        with self.lock:
            self.requests[name] += 1
        time.sleep(self.control.get("delay", 0))
        control = self.control.get(name, {})
        url = urlsplit(self.path)
        headers = {header.lower(): value for header, value in self.headers.items()}
        answer = api(Request(url.path, dict(parse_qsl(url.query)), headers), self.keys[name], control)
        self.answer(answer.status, control.get("body", json.dumps(answer.body)), control.get("retry_after"))

    def answer(self, status: int, body: str, retry_after: int | None = None) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the log is for what goes wrong."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main(options: dict[str, Any]) -> None:
    Handler.keys = options["keys"]
    server = Server((options["host"], options["port"]), Handler)
    if "certificate" in options:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["certificate"], options["key"])
        # The handshake in the connection's own thread: a silent client holds up no other.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
