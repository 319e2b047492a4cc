"""What PostgreSQL checks connect with: TLS as libpq does it, and libpq's sources of parameters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.checks.postgres_server import engine, login_by, result_of, run, server, spec
from tests.services import Certificates, Pair, Postgres
from tests.services.cluster import DATABASE, PASSWORD, USER

ENCRYPTED = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@pytest.fixture(scope="module")
def secure() -> Iterator[Postgres]:
    """A server with TLS, whose certificate is for localhost and 127.0.0.1."""
    with Postgres(ssl=True, max_connections=300) as secure:
        yield secure


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No parameters but those of the test."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))


def present(secure: Postgres, pair: Pair) -> None:
    """Let the server show another certificate."""
    for source, target in ((pair.certificate, "server.pem"), (pair.key, "server.key")):
        with (secure.data / target).open("wb") as copy:
            copy.write(source.read_bytes())
    secure.sql("SELECT pg_reload_conf()")


def secret_file(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def encrypted(where: dict[str, Any]) -> dict[str, Any]:
    """Healthy with one worker where the session is encrypted, an error with none where it is not."""
    return run(spec("task_workers", where, sql=ENCRYPTED, tables=["pg_class"]))


def by_libpq(where: dict[str, Any]) -> bool | None:
    """Whether libpq encrypts this session; None if it cannot connect."""
    try:
        with psycopg.connect(**where) as connection:
            row = connection.execute(ENCRYPTED).fetchone()
            assert row is not None
            return bool(row[0])
    except psycopg.Error:
        return None


def by_us(where: dict[str, Any]) -> bool | None:
    result = encrypted(where)
    details = result.get("details") or {}
    return bool(details["active_workers"]) if "active_workers" in details else None


@pytest.mark.parametrize("certificate", ["server", "stranger", "expired", "self_signed"])
def test_tls__as_libpq(secure: Postgres, certificates: Certificates, certificate: str, tmp_path: Path) -> None:
    shown = getattr(certificates, certificate)
    present(secure, shown)
    roots = {None, str(certificates.ca), str(tmp_path / "missing.pem")}
    if certificate == "self_signed":
        roots.add(str(shown.certificate))
    try:
        for mode in MODES:
            for root in roots:
                for host in ("localhost", "127.0.0.1"):
                    where = server(secure, host=host, sslmode=mode, sslrootcert=root, application_name=certificate)
                    assert by_us(where) == by_libpq(where), (mode, root, host, encrypted(where))
    finally:
        present(secure, certificates.server)


def test_tls__another_host(secure: Postgres, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    for mode, well in (("verify-ca", True), ("verify-full", False)):
        where = server(secure, host="db.example.org", sslmode=mode, sslrootcert=str(certificates.ca))
        result = encrypted(where)
        assert (result["status"] == "healthy") is well, result
        assert well or result["error_type"] == "TLSError"


def test_tls__the_root_certificate_in_the_home_directory(
    secure: Postgres, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / ".postgresql").mkdir()
    shutil.copy(certificates.ca, tmp_path / ".postgresql" / "root.crt")
    assert encrypted(server(secure, sslmode="verify-full"))["status"] == "healthy"
    shutil.copy(certificates.stranger.certificate, tmp_path / ".postgresql" / "root.crt")
    assert encrypted(server(secure, sslmode="require"))["error_type"] == "TLSError"


def test_tls__a_client_certificate(secure: Postgres, certificates: Certificates, tmp_path: Path) -> None:
    rules = secure.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all all scram-sha-256\nhostssl all all all cert\nhostnossl all all all reject\n")
    secure.sql("SELECT pg_reload_conf()")
    try:
        pair = {"sslcert": str(certificates.client.certificate), "sslkey": str(certificates.client.key)}
        where = server(secure, password=None, sslmode="verify-full", sslrootcert=str(certificates.ca))
        assert encrypted({**where, **pair})["status"] == "healthy"
        assert encrypted(where)["error_type"] in {"AuthenticationError", "TLSError"}
        key = secret_file(tmp_path / "open.key", certificates.client.key.read_text(), 0o644)
        assert encrypted({**where, **pair, "sslkey": key})["error_type"] == "ConfigurationError"
        assert encrypted({**where, **pair, "sslkey": "/nonexistent"})["error_type"] == "ConfigurationError"
    finally:
        rules.write_text(before)
        secure.sql("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("rules", "modes"),
    [
        ("hostssl all all all scram-sha-256", {"allow": True, "prefer": True, "require": True, "disable": None}),
        ("hostnossl all all all scram-sha-256", {"allow": False, "prefer": False, "require": None, "disable": False}),
    ],
)
def test_tls__server_rules_decide(secure: Postgres, rules: str, modes: dict[str, bool | None]) -> None:
    file = secure.data / "pg_hba.conf"
    before = file.read_text()
    file.write_text(f"local all all scram-sha-256\n{rules}\n")
    secure.sql("SELECT pg_reload_conf()")
    try:
        for mode, expected in modes.items():
            where = server(secure, sslmode=mode, application_name=f"{mode}-{expected}")
            assert by_us(where) is expected, mode
            assert by_libpq(where) is expected, mode
    finally:
        file.write_text(before)
        secure.sql("SELECT pg_reload_conf()")


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password", "trust"])
def test_authentication(secure: Postgres, method: str) -> None:
    with login_by(secure, method) as login:
        for sslmode in ("disable", "require"):
            where = {**login, "sslmode": sslmode}
            assert run(spec("postgres", where))["status"] == "healthy"
            wrong = run(spec("postgres", {**where, "password": "wrong-secret"}))
            assert wrong["status"] == "healthy" if method == "trust" else wrong["error_type"] == "AuthenticationError"
            without = run(spec("postgres", {name: value for name, value in where.items() if name != "password"}))
            assert method == "trust" or "none is configured" in without["message"]


def test_authentication__unsupported_method(secure: Postgres) -> None:
    rules = secure.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all other all ident\n{before}")
    secure.sql("CREATE ROLE other LOGIN; SELECT pg_reload_conf()")
    try:
        where = server(secure, user="other", sslmode="disable")
        assert run(spec("postgres", where))["error_type"] == "AuthenticationError"
    finally:
        rules.write_text(before)
        secure.sql("DROP ROLE other; SELECT pg_reload_conf()")


def test_sources__the_environment(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HOST": postgres.host, "PORT": str(postgres.port), "USER": USER, "DATABASE": DATABASE}
    for name, value in {**given, "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"PG{name}", value)
    assert run(spec("postgres", {}))["status"] == "healthy"


def test_sources__a_service(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"host={postgres.host}", f"port={postgres.port}", f"user={USER}", f"dbname={DATABASE}"]
    text = "\n".join(["[other]", "host=nowhere.invalid", "[mine]", *lines, f"password={PASSWORD}", ""])
    (tmp_path / ".pg_service.conf").write_text(text)
    assert run(spec("postgres", {"service": "mine"}))["status"] == "healthy"
    monkeypatch.setenv("PGSERVICE", "mine")
    assert run(spec("postgres", {"application_name": "by PGSERVICE"}))["status"] == "healthy"

    shutil.move(tmp_path / ".pg_service.conf", tmp_path / "services")
    assert run(spec("postgres", {"application_name": "gone"}))["error_type"] == "ConfigurationError"
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert run(spec("postgres", {"application_name": "by PGSERVICEFILE"}))["status"] == "healthy"


def test_sources__a_password_file(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    lines = f"# comment\nother:*:*:*:no\n*:{postgres.port}:{DATABASE}:{USER}:{escaped}\n"
    where = server(postgres, password=None)
    without = engine(x=spec("postgres", {**where, "application_name": "without"}))
    assert "none is configured" in result_of(without)["message"]

    secret_file(tmp_path / ".pgpass", lines, 0o644)
    result = result_of(without)
    assert result["error_type"] == "AuthenticationError"
    assert "may read it" in result["message"]

    (tmp_path / ".pgpass").chmod(0o600)
    assert result_of(without)["status"] == "healthy"

    (tmp_path / ".pgpass").rename(tmp_path / "elsewhere")
    by_field = {**where, "passfile": str(tmp_path / "elsewhere")}
    assert run(spec("postgres", by_field))["status"] == "healthy"
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "elsewhere"))
    assert run(spec("postgres", {**where, "application_name": "by PGPASSFILE"}))["status"] == "healthy"


def test_sources__changed_password_file_is_read_at_next_login(postgres: Postgres, tmp_path: Path) -> None:
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    where = server(postgres, password=None, passfile=str(tmp_path / "rotated"))
    checks = engine(x=spec("postgres", where))
    secret_file(tmp_path / "rotated", "*:*:*:*:wrong-secret\n")
    assert result_of(checks)["error_type"] == "AuthenticationError"
    secret_file(tmp_path / "rotated", f"*:*:*:*:{escaped}\n")
    assert result_of(checks)["status"] == "healthy"


@pytest.mark.parametrize("variable", ["PGPORT", "PGSSLMODE", "PGCONNECT_TIMEOUT"])
def test_sources__a_wrong_value(postgres: Postgres, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "nonsense-value")
    where = server(postgres, application_name=variable)
    del where["port"]
    result = run(spec("postgres", where))
    assert result["error_type"] == "ConfigurationError"
    assert "nonsense" not in result["message"]
