"""The HTTP checks against stand-ins of the three APIs, and against servers that break the protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import HttpApis, Proxy, wait_until

TOKEN = "url-token-12"
HEADER = "header-secret-34"
USERINFO = "user-secret-56"


def probe(spec: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("http", spec)
    result = dict(engine.check("http", refresh=True))
    text = json.dumps(result)
    secrets = [TOKEN, HEADER, USERINFO, HttpApis.google_key, HttpApis.openai_key, HttpApis.anthropic_key]
    assert not [secret for secret in secrets if secret in text]
    return result


def url(port: int, **options: Any) -> dict[str, Any]:
    """A spec that is full of secrets."""
    return {
        "kind": "http",
        "url": f"http://probe:{USERINFO}@127.0.0.1:{port}/private/{TOKEN}?token={TOKEN}#{TOKEN}",
        "headers": {"X-Api-Key": HEADER},
    } | options


def answering(*answers: bytes) -> MisbehavingServer:
    """Answers the first request of each connection with one of the answers in turn, then closes it."""
    left = list(answers)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return MisbehavingServer(behave)


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture
def apis(http_apis: HttpApis) -> Iterator[HttpApis]:
    """The stand-ins, answering as at the start."""
    yield http_apis
    http_apis.control()


def google(apis: HttpApis, **options: Any) -> dict[str, Any]:
    return {"kind": "google_maps", "api_key": apis.google_key, "base_url": apis.google_base_url} | options


def openai(apis: HttpApis, **options: Any) -> dict[str, Any]:
    return {"kind": "openai", "api_key": apis.openai_key, "base_url": apis.openai_base_url} | options


def anthropic(apis: HttpApis, **options: Any) -> dict[str, Any]:
    return {"kind": "anthropic", "api_key": apis.anthropic_key, "base_url": apis.anthropic_base_url} | options


APIS: dict[str, Callable[..., dict[str, Any]]] = {"google": google, "openai": openai, "anthropic": anthropic}


@pytest.mark.parametrize(
    ("api", "details"),
    [
        ("google", {"api_status": "OK", "authentication": "valid"}),
        ("openai", {"models_available": 3, "authentication": "valid"}),
        ("anthropic", {"authentication": "valid"}),
    ],
)
def test_api(apis: HttpApis, api: str, details: dict[str, Any]) -> None:
    result = probe(APIS[api](apis))
    assert result["status"] == "healthy", result
    assert result["details"] == details


@pytest.mark.parametrize("api", APIS)
def test_api__wrong_key(apis: HttpApis, api: str) -> None:
    result = probe(APIS[api](apis, api_key="wrong-key-78"))
    assert result["status"] == "error", result
    assert result["error_type"] == "AuthenticationError"
    assert result["message"].endswith("authentication invalid")
    assert result["details"]["authentication"] == "invalid"
    assert "wrong-key-78" not in json.dumps(result)


@pytest.mark.parametrize("api", ["openai", "anthropic"])
@pytest.mark.parametrize("key", ["sk-with-a-line-end\n", "sk\0zero"])
def test_api_key_that_no_header_carries_refused(apis: HttpApis, api: str, key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as raised:
        Engine().register("http", APIS[api](apis, api_key=key))
    assert "sk" not in str(raised.value)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("code", "found"),
    [
        (401, "AuthenticationError"),
        (404, "RequestRejectedError"),
        (429, "degraded"),
        (500, "UnavailableError"),
        (503, "UnavailableError"),
        (529, "UnavailableError"),
    ],
)
def test_api__status(apis: HttpApis, api: str, code: int, found: str) -> None:
    apis.control(**{api: {"status": code}})
    result = probe(APIS[api](apis))
    assert result.get("error_type", result["status"]) == found, result


MISSING_SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.model.read."


@pytest.mark.parametrize("api", ["openai", "anthropic"])
@pytest.mark.parametrize(("code", "body"), [(403, "{}"), (401, json.dumps({"error": {"message": MISSING_SCOPES}}))])
def test_api_key_without_the_right_to_list_models_healthy(apis: HttpApis, api: str, code: int, body: str) -> None:
    apis.control(**{api: {"status": code, "body": body}})
    result = probe(APIS[api](apis))
    assert result["status"] == "healthy", result
    assert result["message"].endswith(" knows the key, which may not list models")
    assert result["details"] == {"authentication": "valid"}


def test_google_forbidden_key_invalid(apis: HttpApis) -> None:
    apis.control(google={"status": 403})
    assert probe(google(apis))["error_type"] == "AuthenticationError"


BODIES = ["", "{", "[]", "null", '{"data": 1, "status": 2}', "<html>", "\0" * 100, "[" * 10_000]


@pytest.mark.parametrize("body", BODIES)
def test_google_body_of_something_else_error(apis: HttpApis, body: str) -> None:
    apis.control(google={"body": body})
    assert probe(google(apis))["error_type"] == "ProtocolError"


@pytest.mark.parametrize("api", ["openai", "anthropic"])
@pytest.mark.parametrize("body", BODIES)
def test_models_body_of_something_else_healthy(apis: HttpApis, api: str, body: str) -> None:
    apis.control(**{api: {"body": body}})
    result = probe(APIS[api](apis))
    assert result["status"] == "healthy", result
    assert result["details"] == {"authentication": "valid"}


@pytest.mark.parametrize(
    ("api_status", "found"),
    [
        ("OK", "healthy"),
        ("ZERO_RESULTS", "healthy"),
        ("OVER_QUERY_LIMIT", "degraded"),
        ("OVER_DAILY_LIMIT", "degraded"),
        ("REQUEST_DENIED", "AuthenticationError"),
        ("INVALID_REQUEST", "RequestRejectedError"),
        ("UNKNOWN_ERROR", "UnavailableError"),
        ("SOMETHING_NEW", "ProtocolError"),
    ],
)
def test_google__status_in_the_answer(apis: HttpApis, api_status: str, found: str) -> None:
    apis.control(google={"api_status": api_status})
    result = probe(google(apis))
    assert result.get("error_type", result["status"]) == found, result
    if found not in ("ProtocolError", "RequestRejectedError"):  # the last comes with HTTP status 400, which says it all
        assert result["details"]["api_status"] == api_status
    if found == "AuthenticationError":
        assert result["details"]["authentication"] == "invalid"


@pytest.mark.parametrize("api", APIS)
def test_api__slow(apis: HttpApis, api: str) -> None:
    apis.control(delay=30)
    result = probe(APIS[api](apis), timeout=0.5)
    assert result["error_type"] == "TimeoutError", result
    assert result["timeout_seconds"] == 0.5


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "base_url", ["", "api.example.org", "ftp://api.example.org", "http://", "redis://:secret-90@h"]
)
def test_api_base_url_that_is_no_url_refused(apis: HttpApis, api: str, base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as raised:
        Engine().register("http", APIS[api](apis, base_url=base_url))
    assert "secret-90" not in str(raised.value)


def test_connection_is_kept(apis: HttpApis) -> None:
    with Proxy(apis.host, apis.port) as proxy:
        spec = openai(apis, base_url=f"http://127.0.0.1:{proxy.port}/openai/v1")
        for _ in range(5):
            assert probe(spec)["status"] == "healthy"
        assert proxy.connections == 1
        proxy.cut()
        assert probe(spec)["status"] == "healthy"
        assert proxy.connections == 2


def test_server_goes_and_comes_back() -> None:
    with HttpApis() as own:
        assert probe(openai(own))["status"] == "healthy"
        own.suspend()
        assert probe(openai(own), timeout=0.5)["error_type"] == "TimeoutError"
        own.resume()
        assert probe(openai(own))["status"] == "healthy"
        own.kill()
        assert probe(openai(own))["error_type"] == "ConnectionRefusedError"
        own.start()
        assert probe(openai(own))["status"] == "healthy"


@pytest.mark.parametrize(
    ("code", "expected", "found"),
    [
        (200, 200, "healthy"),
        (204, 204, "healthy"),
        (301, 301, "healthy"),
        (401, 401, "healthy"),
        (503, 503, "healthy"),
        (200, 204, "RequestRejectedError"),
        (302, 200, "RequestRejectedError"),
        (404, 200, "RequestRejectedError"),
        (500, 200, "UnavailableError"),
    ],
)
def test_url(code: int, expected: int, found: str) -> None:
    with answering(status(code, "Location: http://127.0.0.1:1/")) as server:
        result = probe(url(server.port, expect_status=expected))
    assert result.get("error_type", result["status"]) == found, result
    assert result["details"] == {"status_code": code}
    assert f"http://127.0.0.1:{server.port} " in result["message"]


def test_url__what_is_sent() -> None:
    received: list[str] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n"))
        writer.write(status(200))

    with MisbehavingServer(behave) as server:
        assert probe(url(server.port))["status"] == "healthy"
    assert received[0] == f"GET /private/{TOKEN}?token={TOKEN} HTTP/1.1"
    headers = {line.split(":")[0].lower(): line for line in received[1:]}
    assert headers["x-api-key"].endswith(HEADER)
    assert "lifesigns/" in headers["user-agent"]
    assert headers["authorization"].startswith("authorization: Basic ")
    assert "accept-encoding" not in headers


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": f"no-url-{TOKEN}"}, "url must start with http:// or https://"),
        ({"url": f"postgres://u:{USERINFO}@h/"}, "url must start with http:// or https://, not postgres://"),
        ({"url": f"http://:{USERINFO}@/"}, "url has no host"),
        ({"url": f"http://127.0.0.1:0/{TOKEN}"}, "url must have a port from 1 to 65535, not 0"),
        ({"url": f"http://two words/{TOKEN}"}, "url is not a valid URL"),
        ({"expect_status": 0}, "expect_status must be an HTTP status from 100 to 599, not 0"),
        ({"expect_status": 600}, "expect_status must be an HTTP status from 100 to 599, not 600"),
        ({"headers": {"bad name": HEADER}}, 'headers: "bad name" is not an HTTP header name'),
        ({"headers": {"Content-Length": HEADER}}, 'headers: "Content-Length" cannot be set: the length of the body'),
        ({"headers": {"X-Api-Key": f"{HEADER}\r\nX-Injected: 1"}}, 'headers["X-Api-Key"] holds characters'),
    ],
)
def test_url_wrong_specification_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        Engine().register("http", url(1, **options))
    assert not [secret for secret in (TOKEN, USERINFO, HEADER) if secret in str(raised.value)]


def test_url_closed_before_an_answer_requested_once_on_a_new_connection() -> None:
    """Only a kept connection that was closed is replaced: a request that may have been handled is not repeated."""
    with answering(b"") as server:
        assert probe(url(server.port))["error_type"] == "ConnectionResetError"
        assert server.connections == 1


@pytest.mark.parametrize("api", APIS)
def test_api_slow_on_a_kept_connection_requested_once(apis: HttpApis, api: str) -> None:
    assert probe(APIS[api](apis))["status"] == "healthy"
    before = apis.requests()[api]
    apis.control(delay=0.8)
    assert probe(APIS[api](apis), timeout=1.4)["status"] == "healthy"
    assert apis.requests()[api] == before + 1


def dripping(head: bytes) -> MisbehavingServer:
    """Answers a request with `head`, then with a byte of it each 20 ms, for ever."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for byte in itertools.cycle(head):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    return MisbehavingServer(behave)


# A server that speaks before a request may be cut off while the request is under way.
UNASKED = ("ProtocolError", "ConnectionResetError")
MISBEHAVING: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "silent": (misbehaving.silent, ("TimeoutError",)),
    "closes": (misbehaving.closes, ("ConnectionResetError",)),
    "resets": (misbehaving.resets, ("ConnectionResetError",)),
    "resets after the request": (lambda: misbehaving.resets(after=20), ("ConnectionResetError",)),
    "garbage": (misbehaving.garbage, UNASKED),
    "banner": (misbehaving.banner, UNASKED),
    "flood": (misbehaving.flood, UNASKED),
    "drip": (misbehaving.drip, UNASKED),
    "another protocol": (lambda: answering(b"220 mail ESMTP\r\n"), ("ProtocolError",)),
    "endless header": (
        lambda: answering(b"HTTP/1.1 200 OK\r\nX: " + bytes([65]) * 10_000_000),
        ("ResponseTooLargeError",),
    ),
    "drip of a header": (lambda: dripping(b"HTTP/1.1 200 OK\r\nX: "), ("TimeoutError",)),
    "drip of a body": (lambda: dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"), ("TimeoutError",)),
    "huge": (misbehaving.http_huge, ("ResponseTooLargeError",)),
    "redirects": (misbehaving.http_redirects, ("RequestRejectedError",)),
    "cut off": (lambda: answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), ("ConnectionResetError",)),
    "bad chunks": (
        lambda: answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        ("ProtocolError",),
    ),
    "black hole": (misbehaving.full_backlog, ("TimeoutError",)),
}


@pytest.mark.parametrize("kind", ["http", *APIS])
@pytest.mark.parametrize("mode", MISBEHAVING)
def test_misbehaving_server(apis: HttpApis, kind: str, mode: str) -> None:
    make, error_types = MISBEHAVING[mode]
    with make() as server:
        base = {"base_url": f"http://127.0.0.1:{server.port}"}
        spec = url(server.port) if kind == "http" else APIS[kind](apis, **base)
        result = probe(spec, timeout=0.5 if error_types == ("TimeoutError",) else 5.0)
        if mode != "redirects":  # a proper answer: the connection is kept
            wait_until(lambda: getattr(server, "active", 0) == 0, 10, "the connection stays open")
    assert result["status"] == "error", result
    assert result["error_type"] in error_types, result
    assert result["duration_ms"] < 4000


@pytest.mark.parametrize("api", APIS)
def test_unreachable(apis: HttpApis, api: str) -> None:
    port = misbehaving.refused_port()
    result = probe(APIS[api](apis, base_url=f"http://127.0.0.1:{port}/v1"))
    assert result["error_type"] == "ConnectionRefusedError", result
    assert result["message"] == f"http://127.0.0.1:{port} refused the connection"
    result = probe(APIS[api](apis, base_url="https://unknown.invalid/v1"))
    assert result["error_type"] == "NameResolutionError", result
    assert result["message"] == "the host name unknown.invalid does not resolve"


def test_proxy_of_the_environment() -> None:
    program = (
        "import sys; from lifesigns import Engine; engine = Engine();"
        "engine.register('url', {'kind': 'http', 'url': sys.argv[1]});"
        "print(engine.check('url')['message'])"
    )
    with answering(status(200)) as proxy, answering(status(204)) as direct:
        environment = os.environ | {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}", "NO_PROXY": "127.0.0.1"}
        environment = {key: value for key, value in environment.items() if key not in ("http_proxy", "no_proxy")}

        def run(target: str) -> str:
            command = [sys.executable, "-c", program, target]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60, check=True
            ).stdout.strip()

        assert run("http://behind-the-proxy.invalid/") == "http://behind-the-proxy.invalid answered 200"
        address = f"http://127.0.0.1:{direct.port}"
        assert run(address) == f"{address} answered with HTTP status 204 instead of 200"
