"""PostgreSQL logins bound to the server's certificate, and TLS from the first byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

import lifesigns
from tests.checks.postgres_server import login_by, run, server, spec
from tests.servers import misbehaving
from tests.services import Certificates, Postgres

ENCRYPTED = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
ALPN = "postgresql"


@pytest.fixture(scope="module")
def secure() -> Iterator[Postgres]:
    """A server with TLS."""
    with Postgres(ssl=True) as secure:
        yield secure


def libpq_connects(where: dict[str, Any]) -> bool:
    with suppress(psycopg.Error):
        psycopg.connect(**where).close()
        return True
    return False


def test_channel_binding_required_with_scram_over_tls_is_healthy(secure: Postgres, certificates: Certificates) -> None:
    for tls in ({"sslmode": "require"}, {"sslmode": "verify-full", "sslrootcert": str(certificates.ca)}):
        where = server(secure, channel_binding="require", **tls)
        result = run(spec("task_workers", where, sql=ENCRYPTED, tables=["pg_class"]))
        assert result["details"]["active_workers"] == 1, result
        wrong = run(spec("postgres", {**where, "password": "wrong"}))
        assert wrong["error_type"] == "AuthenticationError"


def test_channel_binding_required_without_tls_is_refused(secure: Postgres, postgres: Postgres) -> None:
    for where in (server(secure, sslmode="disable"), server(postgres, sslmode="prefer")):
        where["channel_binding"] = "require"
        assert not libpq_connects(where)
        result = run(spec("postgres", where))
        assert result["error_type"] == "ConfigurationError"
        target = f"{where['host']}:{where['port']}"
        reason = "the connection is not encrypted"
        assert result["message"] == f"PostgreSQL: channel_binding=require cannot be met by {target}: {reason}"


@pytest.mark.parametrize("method", ["md5", "password", "trust"])
def test_channel_binding_required_without_scram_is_refused(secure: Postgres, method: str) -> None:
    with login_by(secure, method) as where:
        bound = {**where, "sslmode": "require", "channel_binding": "require"}
        assert not libpq_connects(bound)
        result = run(spec("postgres", bound))
        assert result["error_type"] == "ConfigurationError"
        assert result["message"].endswith("its rules let this login in without SCRAM")
        assert run(spec("postgres", {**where, "sslmode": "require"}))["status"] == "healthy"


def test_md5_password_logs_in_as_with_libpq(secure: Postgres) -> None:
    with login_by(secure, "md5") as where:
        assert secure.sql("SELECT left(rolpassword, 3) FROM pg_authid WHERE rolname = 'bound'") == "md5"
        for sslmode in ("disable", "require"):
            right = {**where, "sslmode": sslmode}
            assert libpq_connects(right)
            assert run(spec("postgres", right))["status"] == "healthy"
            wrong = run(spec("postgres", {**right, "password": "wrong"}))
            assert wrong["error_type"] == "AuthenticationError"
            assert "the user or the password is wrong" in wrong["message"]


@contextmanager
def direct_tls(behind: Postgres, certificates: Certificates) -> Iterator[misbehaving.MisbehavingServer]:
    """PostgreSQL 17's direct TLS in front of an older server, which has no TLS itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.set_alpn_protocols([ALPN])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As PostgreSQL does, which takes no client for granted that might speak another protocol.
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
            return
        answers, requests = await asyncio.open_connection(behind.host, behind.port)
        await asyncio.gather(pump(reader, requests), pump(answers, writer))

    with misbehaving.MisbehavingServer(relay, tls=context) as front:
        try:
            yield front
        finally:
            lifesigns.close_connections()  # the relay ends with its connections


def test_direct_tls_connects(postgres: Postgres, certificates: Certificates) -> None:
    with direct_tls(postgres, certificates) as front:
        for tls in ({"sslmode": "require"}, {"sslmode": "verify-full", "sslrootcert": str(certificates.ca)}):
            where = server(front, sslnegotiation="direct", **tls)
            result = run(spec("postgres", where))
            assert result["status"] == "healthy", result
            # A TLS request within the protocol is no ClientHello.
            requested = run(spec("postgres", {**where, "sslnegotiation": "postgres"}))
            assert requested["status"] == "error", requested
        assert front.connections == 2


def test_direct_tls_verifies_the_certificate(postgres: Postgres, certificates: Certificates) -> None:
    with direct_tls(postgres, certificates) as front:
        root = str(certificates.stranger.certificate)
        result = run(spec("postgres", server(front, sslnegotiation="direct", sslmode="verify-full", sslrootcert=root)))
        assert result["error_type"] == "TLSError"
        assert "unknown authority" in result["message"]


@pytest.mark.parametrize("encrypted", [True, False], ids=["with_tls", "without_tls"])
def test_direct_tls_with_server_before_17_is_an_error(secure: Postgres, postgres: Postgres, encrypted: bool) -> None:
    where = server(secure if encrypted else postgres, sslmode="require", sslnegotiation="direct")
    result = run(spec("postgres", where))
    assert result["error_type"] == "TLSError", result
    reason = "the server closed the connection; sslnegotiation=direct takes PostgreSQL 17 or later"
    assert result["message"] == f"TLS with {where['host']}:{where['port']} failed: {reason}"
