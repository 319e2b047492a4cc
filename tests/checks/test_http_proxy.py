"""The HTTP checks through the proxies that the environment names."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import misbehaving
from tests.servers.forward_proxy import ForwardProxy
from tests.services import Certificates, HttpApis

LOGIN = "probe:proxy-secret-12"
LOGIN_HEADER = "proxy-authorization: Basic cHJvYmU6cHJveHktc2VjcmV0LTEy"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
PROGRAM = """
import json, sys
from lifesigns import Engine
engine = Engine(default_timeout=float(sys.argv[2]))
engine.register("http", json.loads(sys.argv[1]))
print(json.dumps([dict(engine.check("http", refresh=True)) for _ in range(3)]))
"""


def probe(spec: dict[str, Any], environment: dict[str, str], timeout: float = 5.0) -> list[dict[str, Any]]:
    """Return the results of three runs in a process of its own: the variables are read once."""
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in VARIABLES}
    command = [sys.executable, "-c", PROGRAM, json.dumps(spec), str(timeout)]
    result = subprocess.run(
        command, env=inherited | environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "proxy-secret-12" not in result.stdout + result.stderr
    results: list[dict[str, Any]] = json.loads(result.stdout)
    return results


def openai(apis: HttpApis, host: str, ca: object = None) -> dict[str, Any]:
    url = f"{'https' if apis.tls else 'http'}://{host}:{apis.port}/openai/v1"
    tls = {"tls": {"ca": str(ca)}} if ca else {}
    return {"kind": "openai", "api_key": apis.openai_key, "base_url": url} | tls


def proxy_certificate(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    return context


def test_plain_http_requested_in_absolute_form_on_a_kept_connection(http_apis: HttpApis) -> None:
    host = "behind-the-proxy.invalid"
    with ForwardProxy() as proxy:
        environment = {"http_proxy": f"http://{LOGIN}@127.0.0.1:{proxy.port}", "HTTPS_PROXY": "wrong url"}
        results = probe(openai(http_apis, host), environment)
    assert [result["status"] for result in results] == ["healthy"] * 3, results
    assert proxy.connections == 1
    lines = proxy.heads[0].split("\r\n")
    assert lines[0] == f"GET http://{host}:{http_apis.port}/openai/v1/models HTTP/1.1"
    assert {f"host: {host}:{http_apis.port}", LOGIN_HEADER} <= set(lines)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_https_tunnelled_on_a_kept_connection(certificates: Certificates, scheme: str) -> None:
    tls = proxy_certificate(certificates) if scheme == "https" else None
    with HttpApis(tls=True) as apis, ForwardProxy(tls) as proxy:
        environment = {"HTTPS_PROXY": f"{scheme}://{LOGIN}@localhost:{proxy.port}", "HTTP_PROXY": "wrong url"}
        results = probe(openai(apis, "localhost", certificates.ca), environment)
        assert [result["status"] for result in results] == ["healthy"] * 3, results
        assert [head.split("\r\n")[0] for head in proxy.heads] == [f"CONNECT localhost:{apis.port} HTTP/1.1"]
        assert {f"host: localhost:{apis.port}", LOGIN_HEADER} <= set(proxy.heads[0].split("\r\n"))
        assert "Bearer" not in proxy.heads[0]
        # The certificate that is verified is the server's, not the proxy's.
        results = probe(openai(apis, "another.invalid", certificates.ca), environment)
        assert results[0]["message"].endswith("the certificate is not valid for this host name"), results


def test_encrypted_proxy_of_plain_http_is_verified(http_apis: HttpApis, certificates: Certificates) -> None:
    with ForwardProxy(proxy_certificate(certificates)) as proxy:
        environment = {"ALL_PROXY": f"https://localhost:{proxy.port}"}
        trusted = probe(openai(http_apis, "a.invalid", certificates.ca), environment)
        stranger = probe(openai(http_apis, "a.invalid", certificates.stranger.certificate), environment)
    assert [result["status"] for result in trusted] == ["healthy"] * 3, trusted
    assert stranger[0]["message"] == (
        f"TLS with the proxy localhost:{proxy.port} failed: "
        "the certificate is signed by an unknown authority, or an intermediate certificate is missing"
    )


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "127.0.0.0/8", "b.example,*"])
def test_host_in_no_proxy_requested_directly(http_apis: HttpApis, no_proxy: str) -> None:
    with ForwardProxy() as proxy:
        environment = {"ALL_PROXY": f"http://127.0.0.1:{proxy.port}", "no_proxy": no_proxy}
        results = probe(openai(http_apis, "127.0.0.1"), environment)
    assert [result["status"] for result in results] == ["healthy"] * 3, results
    assert proxy.connections == 0


def answering(answer: bytes) -> Callable[[], ForwardProxy]:
    return lambda: ForwardProxy(answer=answer)


FAULTS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "407": (
        answering(b"HTTP/1.1 407 Login\r\nContent-Length: 9\r\n\r\n<a login>"),
        "AuthenticationError",
        "the proxy {proxy} rejected the credentials: HTTP status 407",
    ),
    "403": (
        answering(b"HTTP/1.1 403 No\r\n\r\n"),
        "RequestRejectedError",
        "the proxy {proxy} refused the request: HTTP status 403",
    ),
    "502": (
        answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        "ConnectionError",
        "https://a.invalid cannot be reached: the proxy {proxy} answered HTTP status 502",
    ),
    "speaks first": (
        answering(b"HTTP/1.1 200 OK\r\n\r\n220 mail ESMTP"),
        "TLSError",
        "TLS with https://a.invalid failed: the server does not speak TLS",
    ),
    "another protocol": (
        answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "ProtocolError",
        "the proxy {proxy} does not speak HTTP",
    ),
    "interim flood": (
        answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000),
        "ResponseTooLargeError",
        "the proxy {proxy} answered more than 65536 bytes",
    ),
    "cut off": (
        answering(b"HTTP/1.1 2"),
        "ConnectionResetError",
        "the proxy {proxy} closed the connection while connecting",
    ),
    "closes the tunnel": (
        answering(b"HTTP/1.1 200 OK\r\n\r\n"),
        "ConnectionResetError",
        "https://a.invalid closed the connection during the TLS handshake",
    ),
    "silent": (misbehaving.silent, "TimeoutError", "Timed out after 1 s (while connecting)"),
    "black hole": (misbehaving.full_backlog, "TimeoutError", "Timed out after 1 s (while connecting)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_proxy(fault: str) -> None:
    make, error_type, message = FAULTS[fault]
    with make() as proxy:
        address = f"127.0.0.1:{proxy.port}"
        environment = {"HTTPS_PROXY": f"http://{LOGIN}@{address}"}
        result = probe({"kind": "http", "url": "https://a.invalid/"}, environment, timeout=1.0)[0]
    assert (result["error_type"], result["message"]) == (error_type, message.format(proxy=address))


def test_login_that_a_proxy_of_plain_http_refuses_is_the_error_of_the_proxy() -> None:
    with answering(b"HTTP/1.1 407 Login\r\nContent-Length: 9\r\n\r\n<a login>")() as proxy:
        address = f"127.0.0.1:{proxy.port}"
        spec = {"kind": "http", "url": "http://a.invalid/", "expect_status": 407}
        result = probe(spec, {"HTTP_PROXY": f"http://{LOGIN}@{address}"})[0]
    message = f"the proxy {address} rejected the credentials: HTTP status 407"
    assert (result["error_type"], result["message"]) == ("AuthenticationError", message)


def test_proxy_that_is_not_there() -> None:
    port = misbehaving.refused_port()
    refused, unknown = (
        probe({"kind": "http", "url": "http://a.invalid/"}, {"HTTP_PROXY": f"http://{host}:{port}"})[0]
        for host in ("127.0.0.1", "proxy.invalid")
    )
    assert refused["message"] == f"the proxy 127.0.0.1:{port} refused the connection"
    assert unknown["message"] == "the host name proxy.invalid does not resolve"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f"socks5://{LOGIN}@127.0.0.1:1080", "ALL_PROXY names a SOCKS proxy: HTTP checks can only use HTTP proxies"),
        (
            f"http://{LOGIN}@127.0.0.1:no-port",
            "ALL_PROXY is not the URL of an HTTP proxy, such as http://proxy.example.org:3128",
        ),
    ],
)
def test_unusable_proxy_is_a_configuration_error(value: str, said: str) -> None:
    result = probe({"kind": "http", "url": "http://127.0.0.1:1/"}, {"ALL_PROXY": value})[0]
    assert (result["error_type"], result["message"]) == ("ConfigurationError", said)
