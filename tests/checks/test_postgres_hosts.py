"""Several PostgreSQL servers: which one is used, how they share the time, and what a login must prove."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.postgres_server import engine, result_of, run, server, spec
from tests.servers import misbehaving
from tests.services import Postgres, Proxy, wait_until
from tests.services.postgres import Standby

RECOVERY = "SELECT count(*) FROM (SELECT 1 WHERE pg_is_in_recovery()) s"


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    with Postgres(max_connections=100) as primary:
        yield primary


@pytest.fixture(scope="module")
def standby(primary: Postgres) -> Iterator[Standby]:
    with Standby(primary) as standby:
        yield standby


def both(primary: Postgres, standby: Standby, **parameters: object) -> dict[str, object]:
    """The standby first, as a project would list it for reading."""
    return server(
        primary,
        host=f"{standby.host},{primary.host}",
        port=f"{standby.port},{primary.port}",
        **parameters,
    )


def on_standby(where: dict[str, object]) -> bool | str:
    """Whether the session is on the standby, or the type of the error."""
    result = run(spec("task_workers", where, sql=RECOVERY, tables=["pg_class"]))
    if "error_type" in result:
        return str(result["error_type"])
    return bool(result["details"]["active_workers"])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (None, True),
        ("any", True),
        ("read-write", False),
        ("primary", False),
        ("read-only", True),
        ("standby", True),
        ("prefer-standby", True),
    ],
)
@pytest.mark.parametrize("source", ["option", "environment", "service"])
def test_target_session_attrs(
    primary: Postgres,
    standby: Standby,
    attributes: str | None,
    expected: bool,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = both(primary, standby, application_name=f"{source}-{attributes}")
    match source:
        case "option":
            where |= {"target_session_attrs": attributes} if attributes else {}
        case "environment" if attributes:
            monkeypatch.setenv("PGTARGETSESSIONATTRS", attributes)
        case "service":
            (tmp_path / "services").write_text(f"[s]\ntarget_session_attrs={attributes or 'any'}\n")
            monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            where["service"] = "s"
    assert on_standby(where) is expected


def test_target_session_attrs__no_server_fits(primary: Postgres, standby: Standby) -> None:
    where = server(standby, target_session_attrs="read-write")
    result = run(spec("postgres", where))
    assert result["error_type"] == "UnavailableError"
    assert "read-only, and target_session_attrs is read-write" in result["message"]
    where = server(primary, target_session_attrs="standby")
    assert "no standby" in run(spec("postgres", where))["message"]
    assert on_standby(server(primary, target_session_attrs="prefer-standby")) is False


def test_hosts__black_hole_leaves_time_for_the_next(primary: Postgres) -> None:
    with Proxy(primary.host, primary.port) as hole, misbehaving.full_backlog() as full:
        hole.drop()
        where = server(
            primary,
            host=f"{hole.host},{full.host},{primary.host}",
            port=f"{hole.port},{full.port},{primary.port}",
        )
        checks = engine(3.0, x=spec("postgres", where))
        started = time.monotonic()
        assert result_of(checks)["status"] == "healthy"
        assert time.monotonic() - started < 6


def test_hosts__last_used_one_is_tried_first(primary: Postgres) -> None:
    with Proxy(primary.host, primary.port) as first, Proxy(primary.host, primary.port) as second:
        where = server(primary, host=f"{first.host},{second.host}", port=f"{first.port},{second.port}")
        checks = engine(2.0, x=spec("postgres", where))
        first.drop()
        assert result_of(checks)["status"] == "healthy"
        assert second.open_connections == 1
        first.reset_counters()
        second.cut()
        wait_until(lambda: second.open_connections == 0)
        assert result_of(checks)["status"] == "healthy"
        assert (first.connections, second.open_connections) == (0, 1)


def test_load_balance_hosts(primary: Postgres) -> None:
    with Proxy(primary.host, primary.port) as first, Proxy(primary.host, primary.port) as second:
        hosts = {"host": f"{first.host},{second.host}", "port": f"{first.port},{second.port}"}
        for number in range(20):
            where = server(primary, **hosts, load_balance_hosts="random", application_name=f"random-{number}")
            assert run(spec("postgres", where))["status"] == "healthy"
        assert first.connections > 0
        assert second.connections > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gssencmode": "require"}, "gssencmode=require"),
        ({"sslnegotiation": "direct"}, "sslnegotiation=direct requires"),
        ({"channel_binding": "require", "sslmode": "disable"}, "the connection is not encrypted"),
    ],
    ids=str,
)
def test_parameters_that_cannot_be_met(primary: Postgres, change: dict[str, str], words: str) -> None:
    result = run(spec("postgres", server(primary, **change)))
    assert result["error_type"] == "ConfigurationError"
    assert words in result["message"]


def test_parameters_of_gssapi_are_accepted(primary: Postgres) -> None:
    where = server(primary, gssencmode="prefer", krbsrvname="postgres", gsslib="gssapi", gssdelegation="0")
    assert run(spec("postgres", where))["status"] == "healthy"


def test_service__unknown_option_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "services").write_text("[s]\nhots=hidden-value\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    result = run(spec("postgres", {"service": "s"}))
    assert result["error_type"] == "ConfigurationError"
    assert "hots" in result["message"]
    assert "hidden" not in result["message"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"port": 0}, "port must be from 1 to 65535, not 0"),
        ({"port": 65536}, "port must be from 1 to 65535, not 65536"),
        ({"port": "1,2"}, "port names 2 servers, host 1"),
        ({"host": "127.0.0.1\n"}, "host must not begin or end with white space"),
        ({"hostaddr": "localhost"}, "hostaddr must be an IP address"),
        ({"sslmode": "maybe"}, "sslmode must be one of 'disable', 'allow', 'prefer'"),
        ({"target_session_attrs": "writable"}, "target_session_attrs must be one of 'any', 'read-write'"),
    ],
    ids=str,
)
def test_registration__wrong_server_is_refused(primary: Postgres, change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=r"port|host|sslmode|target_session_attrs") as caught:
        engine(x=spec("postgres", server(primary, **change)))
    assert words in str(caught.value)


def verifier(password: str, iterations: int) -> str:
    """What PostgreSQL stores for a password; version 15 takes one made elsewhere, with any number of iterations."""
    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    keys = [base64.b64encode(key).decode() for key in (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))]
    return f"SCRAM-SHA-256${iterations}:{keys[0]}${keys[1]}:{keys[2]}"


def test_scram__many_iterations(primary: Postgres) -> None:
    password = "many iterations \xbc"  # SASLprep makes the last character three
    stored = verifier("many iterations 1\u20444", 600_000)
    primary.sql(f"CREATE ROLE many LOGIN PASSWORD '{stored}'")
    try:
        where = server(primary, user="many", password=password)
        beside = engine(30.0, x=spec("postgres", where), y=spec("postgres", server(primary)))
        report = beside.run(refresh=True)
        assert {result["status"] for result in report["checks"].values()} == {"healthy"}, report
        wrong = run(spec("postgres", {**where, "password": "wrong-secret"}), 14.0)
        assert wrong["error_type"] == "AuthenticationError"
    finally:
        primary.sql("DROP ROLE many")


def test_scram__too_many_iterations(primary: Postgres) -> None:
    # The keys need not fit: the limit is looked at before anything is computed.
    stored = verifier("x", 4096).replace("$4096:", "$9000000:")
    primary.sql(f"CREATE ROLE excessive LOGIN PASSWORD '{stored}'")
    try:
        started = time.monotonic()
        result = run(spec("postgres", server(primary, user="excessive", password="x")))
        assert time.monotonic() - started < 3
        assert result["error_type"] == "ConfigurationError"
        assert "9000000 SCRAM iterations" in result["message"]
        assert "5000000" in result["message"]
    finally:
        primary.sql("DROP ROLE excessive")
