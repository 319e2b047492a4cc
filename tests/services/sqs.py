"""The few calls of Amazon SQS that Celery makes, by the JSON protocol that boto3 speaks, in memory."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"


class SqsError(Exception):
    """An error as AWS sends it: its code, and the HTTP status."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class FakeSqs:
    """`queues` are messages by the name of a queue: ready ones, and those that are taken. `calls` counts the requests.

    `failure` answers every request with an error.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.queues: dict[str, tuple[list[str], list[str]]] = {}
        self.calls: Counter[str] = Counter()
        self.failure: SqsError | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def queue_url(self, name: str) -> str:
        return f"{self.url}/123456789012/{name}"

    def call(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls[action] += 1
            if self.failure:
                raise self.failure
            name = body.get("QueueName") or body.get("QueueUrl", "").rpartition("/")[2]
            if action == "ListQueues":
                prefix = body.get("QueueNamePrefix", "")
                return {"QueueUrls": [self.queue_url(name) for name in self.queues if name.startswith(prefix)]}
            if action == "CreateQueue":
                self.queues.setdefault(name, ([], []))
                return {"QueueUrl": self.queue_url(name)}
            if name not in self.queues:
                raise SqsError(NO_QUEUE)
            ready, taken = self.queues[name]
            if action == "GetQueueUrl":
                return {"QueueUrl": self.queue_url(name)}
            if action == "GetQueueAttributes":
                counts = {
                    "ApproximateNumberOfMessages": len(ready),
                    "ApproximateNumberOfMessagesNotVisible": len(taken),
                    "ApproximateNumberOfMessagesDelayed": 0,
                }
                return {"Attributes": {key: str(counts[key]) for key in body["AttributeNames"]}}
            if action == "SendMessage":
                ready.append(body["MessageBody"])
                return {"MessageId": str(len(ready)), "MD5OfMessageBody": ""}
            raise SqsError("UnsupportedOperation")

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                status, extra = 200, {}
                try:
                    answer = fake.call(self.headers["X-Amz-Target"].rpartition(".")[2], json.loads(text))
                except SqsError as error:
                    status, extra = error.status, {"x-amzn-query-error": f"{error.code};Sender"}
                    answer = {"__type": f"com.amazonaws.sqs#{error.code}", "message": "hunter2"}
                data = json.dumps(answer).encode()
                self.send_response(status)
                for key, value in {"Content-Type": "application/x-amz-json-1.0", **extra}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self.host, 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
