"""The HTTP check's method, body, expected statuses, conditions, redirects and certificate."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from lifesigns import Engine
from tests.services import Certificates

SECRET = "condition-secret-29"
PAGE = {"status": "ok", "queue": {"depth": 17}, "key": SECRET}


class Recorder(http.server.ThreadingHTTPServer):
    """Remembers each request, and answers by its path: `/status/404`, `/redirect/3`, `/page`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.elsewhere = ""

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
        _, kind, *rest = self.path.split("/")
        if kind == "status":
            self.send_response(int(rest[0]))
        elif kind == "encoded":
            self.send_response(200)
            self.send_header("Content-Encoding", rest[0])
        elif kind == "redirect" and int(rest[1]):
            self.send_response(int(rest[0]))
            self.send_header("Location", f"{self.server.elsewhere}/redirect/{rest[0]}/{int(rest[1]) - 1}")
        else:
            self.send_response(200)
        # The status without a body: bytes behind it would be taken for the next answer.
        page = b"" if self.path == "/status/204" else json.dumps(PAGE).encode()
        if page:
            self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def shared() -> Iterator[Recorder]:
    with recorder() as server:
        yield server


@pytest.fixture
def server(shared: Recorder) -> Recorder:
    shared.requests.clear()
    shared.elsewhere = ""
    return shared


def url(server: Recorder, path: str, scheme: str = "http", userinfo: str = "") -> str:
    return f"{scheme}://{userinfo}127.0.0.1:{server.server_address[1]}{path}"


def probe(target: str, *, timeout: float = 5.0, **fields: Any) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("http", {"kind": "http", "url": target, **fields})
    result = dict(engine.check("http", refresh=True))
    assert SECRET not in json.dumps(result)
    return result


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_and_body_are_sent(server: Recorder, method: str) -> None:
    body: dict[str, Any] = {} if method == "HEAD" else {"body": f'{{"a": "{SECRET}"}}'}
    headers = {"Content-Type": "application/json", "X-Key": SECRET}
    result = probe(url(server, "/page?a=b"), method=method, headers=headers, **body)
    assert result["status"] == "healthy", result
    assert result["details"] == {"status_code": 200}
    [seen] = server.requests
    assert (seen["method"], seen["path"], seen["body"]) == (method, "/page?a=b", body.get("body", ""))
    assert (seen["headers"]["content-type"], seen["headers"]["x-key"]) == ("application/json", SECRET)


@pytest.mark.parametrize(
    ("status", "expected", "found"),
    [
        (204, [200, 204], "healthy"),
        (404, [200, "400-404"], "healthy"),
        (503, "500-599", "healthy"),
        (404, "200-299", "HTTP status 404 instead of 200-299"),
        (500, [200, 204, "300-399"], "HTTP status 500 instead of 200, 204 or 300-399"),
    ],
)
def test_expected_statuses(server: Recorder, status: int, expected: Any, found: str) -> None:
    result = probe(url(server, f"/status/{status}"), expect_status=expected)
    assert result["details"]["status_code"] == status
    assert result["status"] == "healthy" if found == "healthy" else result["message"].endswith(found), result


@pytest.mark.parametrize(
    ("conditions", "unmet"),
    [
        ({"text": '"status": "ok"'}, None),
        ({"no_text": "failed"}, None),
        ({"json": {"/status": "ok", "/queue/depth": {"$lt": 100, "$gte": 17}}}, None),
        ({"text": "gone"}, ["the expected text is missing"]),
        ({"no_text": "ok"}, ["the body contains the text that it must not"]),
        ({"json": {"/key": "other"}}, ["/key is a text that is not expected"]),
        (
            {"json": {"/queue/depth": {"$lt": 10}, "/nowhere": 1}},
            ["/nowhere is missing", "/queue/depth is 17, expected less than 10"],
        ),
    ],
)
def test_conditions_on_the_body(server: Recorder, conditions: dict[str, Any], unmet: list[str] | None) -> None:
    result = probe(url(server, "/page"), **conditions)
    assert result["status"] == ("healthy" if unmet is None else "error"), result
    assert result["details"].get("unmet_conditions") == unmet
    if unmet is not None:
        assert result["message"] == f"{url(server, '')} answered 200, but {', '.join(unmet)}"


@pytest.mark.parametrize("conditions", [{"text": "ok"}, {"no_text": "failed"}, {"json": {"/status": "ok"}}])
def test_conditions_on_an_encoded_body(server: Recorder, conditions: dict[str, Any]) -> None:
    assert probe(url(server, "/encoded/identity"), **conditions)["status"] == "healthy"
    result = probe(url(server, "/encoded/gzip"), **conditions)
    assert result["status"] == "error", result
    assert "the body has the Content-Encoding gzip" in result["message"]
    assert probe(url(server, "/encoded/gzip"))["status"] == "healthy"


def test_conditions_after_a_wrong_status(server: Recorder) -> None:
    result = probe(url(server, "/status/500"), text="ok")
    assert result["error_type"] == "UnavailableError", result


@pytest.mark.parametrize(
    ("path", "fields", "status", "requests"),
    [
        ("/redirect/302/2", {"follow_redirects": 2}, "healthy", 3),
        ("/redirect/302/2", {"follow_redirects": 1}, "error", 2),
        ("/redirect/302/2", {}, "error", 1),
        ("/redirect/302/2", {"follow_redirects": 2, "expect_status": 302}, "healthy", 1),
        ("/redirect/307/99", {"follow_redirects": 20}, "error", 21),
    ],
)
def test_redirects_are_followed_as_far_as_wanted(
    server: Recorder, path: str, fields: dict[str, Any], status: str, requests: int
) -> None:
    result = probe(url(server, path), **fields)
    assert result["status"] == status, result
    assert len(server.requests) == requests
    if status == "healthy" and requests > 1:
        assert result["details"] == {"status_code": 200, "redirects": requests - 1}


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirect_of_a_post(server: Recorder, status: int, method: str) -> None:
    result = probe(url(server, f"/redirect/{status}/1"), method="POST", body="x", follow_redirects=1)
    assert result["status"] == "healthy", result
    assert [(seen["method"], seen["body"]) for seen in server.requests] == [
        ("POST", "x"),
        (method, "x" if method == "POST" else ""),
    ]


def test_redirect_to_another_server_gets_no_secrets(server: Recorder) -> None:
    with recorder() as other:
        server.elsewhere = url(other, "")
        target = url(server, "/redirect/302/1", userinfo=f"u:{SECRET}@")
        result = probe(target, headers={"X-Key": SECRET, "Cookie": SECRET}, follow_redirects=1)
        assert result["status"] == "healthy", result
        assert result["message"] == f"{url(other, '')} answered 200"
        [first], [second] = server.requests, other.requests
    assert {"authorization", "x-key", "cookie"} <= first["headers"].keys()
    assert not {"authorization", "x-key", "cookie"} & second["headers"].keys()
    server.elsewhere = ""
    server.requests.clear()
    probe(target, headers={"X-Key": SECRET}, follow_redirects=1)
    assert [seen["headers"]["x-key"] for seen in server.requests] == [SECRET, SECRET]
    assert all("authorization" in seen["headers"] for seen in server.requests)


@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "POST"), (302, "PUT")])
def test_body_is_not_sent_to_another_server(server: Recorder, status: int, method: str) -> None:
    with recorder() as other:
        server.elsewhere = url(other, "")
        target = url(server, f"/redirect/{status}/1")
        result = probe(target, method=method, body=SECRET, follow_redirects=1)
        assert result["error_type"] == "RequestRejectedError", result
        assert "to another server, which the configured body is not sent to" in result["message"]
        assert other.requests == []
        assert probe(target, method=method, follow_redirects=1)["status"] == "healthy"
        assert [seen["method"] for seen in other.requests] == [method]


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("PUT", True), ("POST", False), ("PATCH", False)])
def test_request_on_a_kept_connection_that_ends(method: str, repeated: bool) -> None:
    """A `POST` goes over a new connection: that the server has not seen it on a kept one could not be known."""
    with recorder() as server:
        target = url(server, "/page")
        assert probe(target)["status"] == "healthy"
        assert server.connections == 1
        assert probe(target, method=method)["status"] == "healthy"
        assert server.connections == (1 if repeated else 2)
        assert [seen["method"] for seen in server.requests] == ["GET", method]


def closes_without_answer(count: list[int]) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        count.append(1)
        handler.close_connection = True

    return answer


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_post_without_an_answer_is_sent_once(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    with recorder() as server:
        target = url(server, "/page")
        assert probe(target)["status"] == "healthy"
        count: list[int] = []
        monkeypatch.setattr(Handler, f"do_{method}", closes_without_answer(count))
        result = probe(target, method=method, body="x")
    assert result["error_type"] == "ConnectionResetError", result
    assert len(count) == 1


@contextmanager
def encrypted(folder: Path, days: int) -> Iterator[tuple[Recorder, ssl.SSLContext, dict[str, str]]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with recorder() as server:
        _load(context, authority, folder, days)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server, context, {"ca": str(folder / "ca.pem")}


def _load(context: ssl.SSLContext, authority: trustme.CA, folder: Path, days: int) -> None:
    not_after = datetime.now(timezone.utc) + timedelta(days=days, hours=12)
    issued = authority.issue_cert("127.0.0.1", not_after=not_after)
    path = folder / "server.pem"
    path.write_bytes(issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes())
    context.load_cert_chain(path)


@pytest.mark.parametrize(("days", "status"), [(14, "healthy"), (30, "degraded")])
def test_certificate_days(tmp_path: Path, days: int, status: str) -> None:
    with encrypted(tmp_path, 20) as (server, _, tls):
        result = probe(url(server, "/page", "https"), certificate_days=days, tls=tls)
    assert result["status"] == status, result
    assert result["details"]["certificate_days_left"] == 20
    if status == "degraded":
        assert result["message"].endswith("answered 200, with a certificate that expires in 20 days")


@pytest.mark.parametrize(("days", "status"), [(14, "healthy"), (30, "degraded")])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_certificate_days_of_a_server_that_redirects(
    tmp_path: Path, certificates: Certificates, scheme: str, days: int, status: str
) -> None:
    """The last server, whose certificate is good for longer or that has none, hides no other's."""
    authorities = tmp_path / "authorities.pem"
    with encrypted(tmp_path, 20) as (server, _, tls), recorder() as last:
        if scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server.certificate, certificates.server.key)
            last.socket = context.wrap_socket(last.socket, server_side=True)
        authorities.write_text(Path(tls["ca"]).read_text() + certificates.ca.read_text())
        server.elsewhere = url(last, "", scheme)
        target = url(server, "/redirect/302/1", "https")
        result = probe(target, certificate_days=days, follow_redirects=1, tls={"ca": str(authorities)})
    assert result["status"] == status, result
    assert result["details"]["certificate_days_left"] == 20
    if status == "degraded":
        said = f"answered 200; {url(server, '', 'https')}, which redirects, has a certificate that expires in 20 days"
        assert result["message"].endswith(said)


def test_certificate_days_after_other_faults(tmp_path: Path) -> None:
    with encrypted(tmp_path, 20) as (server, _, tls):
        result = probe(url(server, "/page", "https"), certificate_days=30, tls=tls, text="gone")
    assert result["status"] == "error", result
    assert result["message"].endswith("the expected text is missing")


def test_certificate_days_of_a_renewed_certificate(tmp_path: Path, certificates: Certificates) -> None:
    """No kept connection and no resumed session stands for the old one."""
    with encrypted(tmp_path, 20) as (server, context, tls):
        target = url(server, "/page", "https")
        assert probe(target, tls=tls)["status"] == "healthy"
        assert probe(target, certificate_days=30, tls=tls)["status"] == "degraded"
        context.load_cert_chain(certificates.server.certificate, certificates.server.key)
        result = probe(target, certificate_days=30, tls={"ca": str(certificates.ca)})
        assert result["status"] == "healthy", result
