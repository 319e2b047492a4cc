"""The check of a server's certificate: days, names, chains, and TLS that is started by a command."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme

from lifesigns import Engine
from tests.servers import misbehaving
from tests.servers.misbehaving import MisbehavingServer
from tests.services import Certificates, Pair, Postgres, Smtp

NOW = datetime.now(timezone.utc)


def probe(port: int, *, timeout: float = 5.0, **fields: Any) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    engine.register("certificate", {"kind": "tls_certificate", "host": "localhost", "port": port, **fields})
    return dict(engine.check("certificate", refresh=True))


@contextmanager
def presenting(certificate: Path, key: Path | None = None) -> Iterator[int]:
    """The port of a TLS server with this certificate and its chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def behave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    with MisbehavingServer(behave, tls=context) as server:
        yield server.port


def issue(folder: Path, issuer: trustme.CA, *, chain: bool = True, **options: Any) -> Path:
    """A certificate and its key in one file, with its intermediates if wanted."""
    issued = issuer.issue_cert("localhost", **options)
    path = folder / "server.pem"
    issued.private_key_pem.write_to_path(path)
    for blob in issued.cert_chain_pems if chain else issued.cert_chain_pems[:1]:
        blob.write_to_path(path, append=True)
    return path


def trust(folder: Path, authority: trustme.CA) -> dict[str, str]:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return {"ca": str(path)}


@pytest.mark.parametrize(
    ("days", "fields", "status"),
    [
        (45, {}, "healthy"),
        (20, {}, "degraded"),
        (20, {"degraded_days": 14}, "healthy"),
        (5, {}, "error"),
        (5, {"error_days": 2}, "degraded"),
        (5, {"error_days": 0, "degraded_days": 0}, "healthy"),
    ],
)
def test_days_left(tmp_path: Path, days: int, fields: dict[str, int], status: str) -> None:
    authority = trustme.CA()
    path = issue(tmp_path, authority, not_after=NOW + timedelta(days=days, hours=12))
    with presenting(path) as port:
        result = probe(port, tls=trust(tmp_path, authority), **fields)
    assert result["status"] == status, result
    limit = {"degraded": fields.get("degraded_days", 30), "error": fields.get("error_days", 7)}.get(status)
    left = f"The certificate of localhost:{port} is valid for {days} more days"
    assert result["message"] == (left if limit is None else f"{left} (below {limit})")
    details = result["details"]
    assert (details["days_left"], details["names"], details["chain_length"]) == (days, ["localhost"], 1)
    assert details["not_after"] == (NOW + timedelta(days=days, hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert details["not_before"] < NOW.isoformat() < details["not_after"]
    assert "trustme" in details["subject"]
    assert "trustme" in details["issuer"]


def refusal(port: int, **fields: Any) -> str:
    """Why the certificate is refused, which comes with its details."""
    result = probe(port, **fields)
    assert result["error_type"] == "TLSError", result
    assert {"subject", "issuer", "not_before", "not_after", "days_left", "names"} <= result["details"].keys()
    return str(result["message"]).removeprefix(f"TLS with localhost:{port} failed: ")


def test_expired_shows_since_when(tmp_path: Path) -> None:
    authority = trustme.CA()
    options: dict[str, Any] = {"not_before": NOW - timedelta(days=30), "not_after": NOW - timedelta(days=2, hours=12)}
    with presenting(issue(tmp_path, authority, **options)) as port:
        result = probe(port, tls=trust(tmp_path, authority))
        assert result["message"] == f"TLS with localhost:{port} failed: the certificate has expired"
        assert result["details"]["days_left"] == -3
        unverified = probe(port, tls={"verify": "nothing"})
    assert unverified["status"] == "error", unverified
    assert unverified["message"] == f"The certificate of localhost:{port} has expired"


def test_not_yet_valid(tmp_path: Path) -> None:
    authority = trustme.CA()
    options: dict[str, Any] = {"not_before": NOW + timedelta(days=2), "not_after": NOW + timedelta(days=90)}
    with presenting(issue(tmp_path, authority, **options)) as port:
        assert refusal(port, tls=trust(tmp_path, authority)) == "the certificate is not valid yet"


def test_other_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    with presenting(issue(tmp_path, authority)) as port:
        tls = trust(tmp_path, authority)
        said = refusal(port, server_name="shop.example.org", tls=tls)
        assert said == "the certificate is not valid for this host name"
        chain_only = probe(port, server_name="shop.example.org", tls={**tls, "verify": "chain"})
        assert chain_only["status"] == "healthy", chain_only
        assert probe(port, host="127.0.0.1", server_name="localhost", tls=tls)["status"] == "healthy"


def test_self_signed(certificates: Certificates) -> None:
    pair = certificates.self_signed
    with presenting(pair.certificate, pair.key) as port:
        said = refusal(port, tls={"ca": str(certificates.ca)})
        assert said == "the certificate is self-signed, and not listed in `ca`"
        listed = probe(port, tls={"ca": str(pair.certificate)}, degraded_days=20)
        assert listed["status"] == "healthy", listed


def test_chain_complete_incomplete_and_unknown(tmp_path: Path, certificates: Certificates) -> None:
    root = trustme.CA()
    intermediate = root.create_child_ca()
    tls = trust(tmp_path, root)
    with presenting(issue(tmp_path, intermediate)) as port:
        complete = probe(port, tls=tls)
        assert complete["status"] == "healthy", complete
        assert complete["details"]["chain_length"] == 2
    (tmp_path / "server.pem").unlink()
    with presenting(issue(tmp_path, intermediate, chain=False)) as port:
        assert refusal(port, tls=tls).startswith("the chain is incomplete or its authority unknown")
    path = issue(tmp_path, root)
    root.cert_pem.write_to_path(path, append=True)
    with presenting(path) as port:
        said = refusal(port, tls={"ca": str(certificates.ca)})
        assert said == "the certificate is signed by an unknown authority"


def test_renewed_certificate_is_seen_at_once(tmp_path: Path) -> None:
    """A resumed session would stand for the old one."""
    authority = trustme.CA()
    tls = trust(tmp_path, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issue(tmp_path, authority, not_after=NOW + timedelta(days=20, hours=12)))

    async def behave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    with MisbehavingServer(behave, tls=context) as server:
        assert probe(server.port, tls=tls)["details"]["days_left"] == 20
        (tmp_path / "server.pem").unlink()
        context.load_cert_chain(issue(tmp_path, authority, not_after=NOW + timedelta(days=60, hours=12)))
        assert probe(server.port, tls=tls)["details"]["days_left"] == 60


def test_starttls_of_real_servers(certificates: Certificates) -> None:
    tls = {"ca": str(certificates.ca)}
    with Smtp("starttls") as server:
        result = probe(server.port, starttls="smtp", tls=tls)
        assert result["status"] == "healthy", result
        assert result["details"]["names"] == ["localhost", "127.0.0.1"]
        wrong = probe(server.port, starttls="postgres", timeout=1.0)
        assert wrong["error_type"] in ("ProtocolError", "TimeoutError"), wrong
    with Smtp("plain") as server:
        assert probe(server.port, starttls="smtp", tls=tls)["error_type"] == "RequestRejectedError"


def test_starttls_of_postgres(certificates: Certificates, postgres: Postgres) -> None:
    assert probe(postgres.port, starttls="postgres")["error_type"] == "RequestRejectedError"
    with Postgres(ssl=True) as server:
        result = probe(server.port, starttls="postgres", tls={"ca": str(certificates.ca)})
    assert result["status"] == "healthy", result


DIALOGUES = {
    "imap": [b"* OK ready\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK begin\r\n"],
    "pop3": [b"+OK ready\r\n", b"+OK begin\r\n"],
}


def mail_server(pair: Pair, answers: list[bytes]) -> MisbehavingServer:
    """Says each answer, after a line of the client but for the first, then speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place, answer in enumerate(answers):
            if place:
                await reader.readline()
            writer.write(answer)
        await asyncio.get_running_loop().start_tls(
            writer.transport, asyncio.StreamReaderProtocol(reader), context, server_side=True
        )
        await reader.read()

    return MisbehavingServer(behave)


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_starttls_of_mail_boxes(certificates: Certificates, protocol: str) -> None:
    with mail_server(certificates.server, DIALOGUES[protocol]) as server:
        result = probe(server.port, starttls=protocol, tls={"ca": str(certificates.ca)})
        assert result["status"] == "healthy", result
    refusing = [DIALOGUES[protocol][0], b"a1 NO\r\n" if protocol == "imap" else b"-ERR no\r\n"]
    with mail_server(certificates.server, refusing) as server:
        assert probe(server.port, starttls=protocol)["error_type"] == "RequestRejectedError"


@pytest.mark.parametrize("starttls", [None, "smtp", "imap", "pop3", "postgres"])
@pytest.mark.parametrize(
    ("mode", "error_types"),
    [
        ("silent", ("TimeoutError",)),
        ("closes", ("ConnectionResetError",)),
        ("resets", ("ConnectionResetError",)),
        ("garbage", ("TLSError", "ProtocolError")),
        ("banner", ("TLSError", "ProtocolError")),
        ("flood", ("TLSError", "ProtocolError")),
    ],
)
def test_misbehaving_server(mode: str, error_types: tuple[str, ...], starttls: str | None) -> None:
    with misbehaving.MODES[mode]() as server:
        fields = {} if starttls is None else {"starttls": starttls}
        result = probe(server.port, timeout=0.5 if mode == "silent" else 5.0, **fields)
    assert result["status"] == "error", result
    assert result["error_type"] in error_types, result


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": ""}, "host must not be empty"),
        ({"server_name": "a/b"}, "server_name must be a host name or an address, without spaces, "),
        ({"error_days": 31}, "error_days (31) must not be more than degraded_days (30)"),
        ({"starttls": "ftp"}, "starttls must be one of 'smtp', 'imap', 'pop3', 'postgres'"),
    ],
)
def test_wrong_specification_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Engine().register("certificate", {"kind": "tls_certificate", "host": "h", **fields})
