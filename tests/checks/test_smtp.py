"""The SMTP check against real servers in each mode of encryption, and against those that break the protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
from typing import Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import Certificates, Proxy, Smtp, wait_until
from tests.services.smtp import PASSWORD, USER, Security

KINDS: dict[Security, str] = {"plain": "none", "starttls": "starttls", "tls": "tls"}


def probe(port: int, security: str = "none", *, timeout: float = 5.0, **options: Any) -> dict[str, Any]:
    """What the check finds with the right credentials, unless `options` say otherwise."""
    engine = Engine(default_timeout=timeout)
    spec = {"kind": "smtp", "host": "localhost", "port": port, "security": security}
    spec |= {"username": USER, "password": PASSWORD} | options
    engine.register("mail", spec)
    result = dict(engine.check("mail", refresh=True))
    text = json.dumps(result)
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), _initial(USER, PASSWORD)):
        assert secret not in text
    return result


def _initial(user: str, password: str) -> str:
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


@pytest.mark.parametrize("security", KINDS)
def test_login(certificates: Certificates, security: Security) -> None:
    with Smtp(security) as server:
        result = probe(server.port, KINDS[security], tls={"ca": str(certificates.ca)})
    assert result["status"] == "healthy", result
    assert result["details"] == {"host": "localhost", "port": server.port, "authentication": "successful"}


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "PLAIN", "LOGIN"])
def test_login__by_what_is_offered(mechanism: str) -> None:
    with Smtp(mechanisms=(mechanism,)) as server:
        assert probe(server.port)["status"] == "healthy"
        assert probe(server.port, password="wrong")["error_type"] == "AuthenticationError"


def test_login_cram_md5_refused_plain_succeeds() -> None:
    """As smtplib does: each mechanism in turn, until one succeeds."""
    with Smtp(mechanisms=("CRAM-MD5", "PLAIN"), cram_refuses=True) as server:
        assert probe(server.port)["status"] == "healthy"
        assert probe(server.port, password="wrong")["error_type"] == "AuthenticationError"


def test_login_order_is_smtplibs() -> None:
    server = Scripted("250-test\r\n250 AUTH LOGIN PLAIN CRAM-MD5\r\n", "535 no\r\n", "535 no\r\n", "535 no\r\n")
    with server() as running:
        assert probe(running.port)["error_type"] == "AuthenticationError"
    assert [line.split()[:2] for line in server.received[1:4]] == [
        ["AUTH", "CRAM-MD5"],
        ["AUTH", "PLAIN"],
        ["AUTH", "LOGIN"],
    ]


def test_ehlo_name_refused_address_accepted_name() -> None:
    """Google's relay refuses the private address of a container."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            known = line == b"EHLO app.example.org\r\n"
            writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"250 test\r\n" if known else b"421 try again\r\n")

    with MisbehavingServer(behave) as server:
        assert probe(server.port, username=None)["error_type"] == "UnavailableError"
        assert probe(server.port, username=None, local_hostname="app.example.org")["status"] == "healthy"


@pytest.mark.parametrize("security", ["none", "starttls"])
def test_port_with_implicit_tls_said_before_the_timeout(certificates: Certificates, security: str) -> None:
    with Smtp("tls") as server:
        result = probe(server.port, security, tls={"ca": str(certificates.ca)})
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith(
        'this port speaks TLS from the first byte: use implicit TLS (`security="tls"`, in Django EMAIL_USE_SSL)'
    )
    assert result["duration_ms"] < 4000


def test_port_with_starttls_said_before_the_timeout() -> None:
    with Smtp("starttls") as server:
        result = probe(server.port, "tls")
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith(
        'does not speak TLS from the first byte: use STARTTLS (`security="starttls"`, in Django EMAIL_USE_TLS)'
    )
    assert result["duration_ms"] < 4000


def test_late_greeting_healthy() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)
        for reply in (b"220 test\r\n", b"250 test\r\n", b"221 bye\r\n"):
            writer.write(reply)
            await reader.readline()

    with MisbehavingServer(behave) as server:
        assert probe(server.port, username=None)["status"] == "healthy"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": ""}, "host must not be empty"),
        ({"host": "two words"}, "host must be a host name or an address, without spaces, "),
        ({"port": 0}, "port must be from 1 to 65535, not 0"),
        ({"local_hostname": "a\r\nMAIL FROM:<x>"}, "local_hostname must be a host name or an address"),
    ],
)
def test_wrong_specification_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        probe(**{"port": 25} | options)


def test_login__user_and_password_beyond_ascii() -> None:
    with Smtp() as server:
        result = probe(server.port, username="jürgen", password="pä ss")
    assert result["error_type"] == "AuthenticationError", result


@pytest.mark.parametrize("security", KINDS)
def test_wrong_password(certificates: Certificates, security: Security) -> None:
    with Smtp(security) as server:
        result = probe(server.port, KINDS[security], tls={"ca": str(certificates.ca)}, password="wrong-secret")
    assert result["error_type"] == "AuthenticationError", result
    assert result["message"] == f"localhost:{server.port} rejected the credentials: SMTP reply 535"
    assert result["details"] == {"authentication": "failed"}
    assert "wrong-secret" not in json.dumps(result)


@pytest.mark.parametrize("credentials", [{"username": None}, {"password": None}, {"username": "", "password": ""}])
def test_no_credentials(credentials: dict[str, Any]) -> None:
    with Smtp() as server:
        result = probe(server.port, **credentials)
    assert result["status"] == "healthy", result
    assert result["details"]["authentication"] == "not configured"


def test_server_goes_and_comes_back() -> None:
    with Smtp() as server:
        assert probe(server.port)["status"] == "healthy"
        server.suspend()
        result = probe(server.port, timeout=0.5)
        assert result["error_type"] == "TimeoutError", result
        assert result["message"] == "Timed out after 0.5 s (while waiting for the answer)"
        server.kill()
        assert probe(server.port)["error_type"] == "ConnectionRefusedError"
        server.start()
        assert probe(server.port)["status"] == "healthy"


def test_nothing_is_left_behind(certificates: Certificates) -> None:
    with Smtp("starttls") as server, Proxy(server.host, server.port) as proxy:
        for _ in range(3):
            assert probe(proxy.port, "starttls", tls={"ca": str(certificates.ca)})["status"] == "healthy"
        assert proxy.connections == 3
        wait_until(lambda: proxy.open_connections == 0, 10, "a connection is left")


def test_unknown_authority(certificates: Certificates) -> None:
    tls = {"ca": str(certificates.stranger.certificate)}
    for security in ("starttls", "tls"):
        with Smtp(security) as server:
            result = probe(server.port, security, tls=tls)
        assert result["error_type"] == "TLSError", result
        assert result["message"].endswith(
            "the certificate is signed by an unknown authority, or an intermediate certificate is missing"
        )


def test_encrypted_and_not_mixed_up(certificates: Certificates) -> None:
    tls = {"ca": str(certificates.ca)}
    with Smtp("plain") as server:
        assert probe(server.port, "tls", tls=tls)["error_type"] == "TLSError"
    with Smtp("starttls") as server:
        result = probe(server.port, "none")
        assert result["error_type"] == "RequestRejectedError", result
        assert "offers none of AUTH CRAM-MD5, PLAIN and LOGIN" in result["message"]


class Scripted:
    """Replies to one line after another; `received` holds the client's lines."""

    def __init__(self, *replies: str, greeting: str = "220 test ESMTP\r\n") -> None:
        self.received: list[str] = []
        self._replies = (greeting, *replies)

    def __call__(self) -> MisbehavingServer:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for number, reply in enumerate(self._replies):
                if number > 0:
                    self.received.append((await reader.readline()).decode().strip())
                writer.write(reply.encode("latin-1"))
            while line := await reader.readline():
                self.received.append(line.decode().strip())

        return MisbehavingServer(behave)


EHLO = "250-test\r\n250-AUTH PLAIN\r\n250 HELP\r\n"


def test_what_is_said() -> None:
    server = Scripted("250-test\r\n250-auth=plain\r\n250 HELP\r\n", "235 ok\r\n", "221 bye\r\n")
    with server() as running:
        assert probe(running.port)["status"] == "healthy"
    hello, auth, quit_ = server.received
    assert hello in ("EHLO [127.0.0.1]", "EHLO [IPv6:::1]")
    assert auth == f"AUTH PLAIN {_initial(USER, PASSWORD)}"
    assert quit_ == "QUIT"


def test_starttls_is_not_offered__credentials_stay_here() -> None:
    server = Scripted(EHLO)
    with server() as running:
        result = probe(running.port, "starttls")
        wait_until(lambda: running.active == 0, 10, "the connection stays open")
    assert result["error_type"] == "RequestRejectedError", result
    assert result["message"].endswith("refused the request: it does not offer STARTTLS")
    assert [line.split()[0] for line in server.received] == ["EHLO"]


def test_bytes_before_the_handshake_are_no_reply() -> None:
    server = Scripted("250-test\r\n250 STARTTLS\r\n", "220 go\r\n250-test\r\n250 AUTH PLAIN\r\n")
    with server() as running:
        result = probe(running.port, "starttls", tls={"verify": "nothing"})
        wait_until(lambda: running.active == 0, 10, "the connection stays open")
    assert result["error_type"] == "ProtocolError", result
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("server", "error_type"),
    [
        (Scripted(greeting="421 too busy\r\n"), "UnavailableError"),
        (Scripted(greeting="554 no mail here\r\n"), "RequestRejectedError"),
        (Scripted(greeting="250 not a greeting\r\n"), "ProtocolError"),
        (Scripted("502 what\r\n"), "RequestRejectedError"),
        (Scripted("250-test\r\n251 other\r\n"), "ProtocolError"),
        (Scripted("250 test\r\n"), "RequestRejectedError"),
        (Scripted(EHLO, "454 later\r\n"), "UnavailableError"),
        (Scripted(EHLO, "530 encrypt first\r\n"), "AuthenticationError"),
        (Scripted(EHLO, "534 too weak\r\n"), "AuthenticationError"),
        (Scripted(EHLO, "535 \xff\xfe\r\n"), "AuthenticationError"),
        (Scripted(EHLO, "334 more\r\n"), "ProtocolError"),
        (Scripted("250-AUTH LOGIN\r\n250 x\r\n", "334 a\r\n", "334 b\r\n", "535 no\r\n"), "AuthenticationError"),
        (Scripted(greeting="220-" + "x" * 70_000 + "\r\n"), "ResponseTooLargeError"),
        (Scripted(greeting="220-x\r\n" * 10_000), "ResponseTooLargeError"),
        (Scripted(greeting="220\n"), "TimeoutError"),
    ],
)
def test_replies(server: Scripted, error_type: str) -> None:
    with server() as running:
        result = probe(running.port, timeout=1.0)
    assert result["error_type"] == error_type, result


def test_quit_without_an_answer_is_no_failure() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b"220 test\r\n", EHLO.encode(), b"235 ok\r\n"):
            writer.write(reply)
            await reader.readline()

    with MisbehavingServer(behave) as running:
        result = probe(running.port)
    assert result["status"] == "healthy", result


@pytest.mark.parametrize(
    ("mode", "error_type"),
    [
        ("silent", "TimeoutError"),
        ("closes", "ConnectionResetError"),
        ("resets", "ConnectionResetError"),
        ("garbage", "ProtocolError"),
        ("banner", "ProtocolError"),
        ("drip", "TimeoutError"),
        ("flood", "ResponseTooLargeError"),
        ("full_backlog", "TimeoutError"),
    ],
)
def test_misbehaving_server(mode: str, error_type: str) -> None:
    make = misbehaving.MODES.get(mode, misbehaving.full_backlog)
    with make() as server:
        result = probe(server.port, host="127.0.0.1", timeout=0.5)
    assert result["error_type"] == error_type, result
    assert result["duration_ms"] < 2000


def test_drip_of_valid_lines() -> None:
    with misbehaving.drip(b"220-x\r\n", interval=0.02) as server:
        result = probe(server.port, timeout=0.5)
    assert result["error_type"] == "TimeoutError", result


def test_ipv6() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        port = listener.getsockname()[1]
        result = probe(port, host="::1", timeout=0.5)
    assert result["error_type"] == "TimeoutError", result


def test_refused() -> None:
    port = misbehaving.refused_port()
    result = probe(port)
    assert result["error_type"] == "ConnectionRefusedError", result
    assert result["message"] == f"localhost:{port} refused the connection"
