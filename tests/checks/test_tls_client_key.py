"""Client keys that are encrypted with a password, seen through the HTTP and PostgreSQL checks."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.checks.postgres_server import run, server, spec
from tests.checks.test_tls import TlsServer, get
from tests.services import Certificates, Postgres

PASSWORD_OF_KEY = "key-secret"
WRONG = "wrong-key-secret"
CIPHERS = {"aes": ("-v2", "aes-256-cbc"), "aes128": ("-v2", "aes-128-cbc"), "scrypt": ("-scrypt",)}


def encrypt(key: Path, target: Path, *options: str) -> Path:
    """Write the key as `openssl pkcs8` encrypts it."""
    command = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        str(key),
        "-out",
        str(target),
        "-passout",
        f"pass:{PASSWORD_OF_KEY}",
    ]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=60)
    target.chmod(0o600)
    return target


def client(certificates: Certificates, key: Path, **options: Any) -> dict[str, Any]:
    return {"ca": certificates.ca, "cert": certificates.client.certificate, "key": key, **options}


@pytest.mark.parametrize("cipher", CIPHERS)
def test_encrypted_key_with_password_is_used(certificates: Certificates, tmp_path: Path, cipher: str) -> None:
    key = encrypt(certificates.client.key, tmp_path / "client.key", *CIPHERS[cipher])
    with TlsServer(certificates.server, client_ca=certificates.ca) as listener:
        result = get(listener.port, client(certificates, key, key_password=PASSWORD_OF_KEY))
        assert result["status"] == "healthy", result
        # In the same process: the configuration of another password is another one.
        for options, reason in (({"key_password": WRONG}, "its password is wrong"), ({}, "no password is set for it")):
            result = get(listener.port, client(certificates, key, **options))
            assert result["error_type"] == "ConfigurationError", result
            assert result["message"] == f"the private key in {key} is encrypted, and {reason}"


def test_unencrypted_key_with_password_is_used(certificates: Certificates) -> None:
    with TlsServer(certificates.server, client_ca=certificates.ca) as listener:
        tls = client(certificates, certificates.client.key, key_password=PASSWORD_OF_KEY)
        assert get(listener.port, tls)["status"] == "healthy"


@pytest.mark.parametrize(
    ("options", "reason"),
    [(("-v2", "des3"), "its algorithm is not supported"), (("-v1", "PBE-SHA1-3DES"), "its algorithm is not supported")],
    ids=["des3", "pbes1"],
)
def test_key_of_unsupported_algorithm_is_named(
    certificates: Certificates, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    key = encrypt(certificates.client.key, tmp_path / "client.key", *options)
    with TlsServer(certificates.server, client_ca=certificates.ca) as listener:
        result = get(listener.port, client(certificates, key, key_password=PASSWORD_OF_KEY))
    assert result["error_type"] == "ConfigurationError", result
    assert result["message"].endswith(reason), result


def test_key_of_traditional_form_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    key = tmp_path / "client.key"
    key.write_text(
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END EC PRIVATE KEY-----\n"
    )
    with TlsServer(certificates.server, client_ca=certificates.ca) as listener:
        result = get(listener.port, client(certificates, key, key_password=PASSWORD_OF_KEY))
    assert result["error_type"] == "ConfigurationError", result
    assert "traditional form" in result["message"]


@pytest.mark.parametrize("source", ["field", "service"])
def test_sslpassword_of_each_source_decrypts_sslkey(
    certificates: Certificates, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = encrypt(certificates.client.key, tmp_path / "client.key")
    with Postgres(ssl=True) as secure:
        rules = secure.data / "pg_hba.conf"
        rules.write_text("local all all scram-sha-256\nhostssl all all all cert\n")
        secure.sql("SELECT pg_reload_conf()")
        where = server(secure, password=None, sslmode="verify-full", sslrootcert=str(certificates.ca), host="localhost")
        where |= {"sslcert": str(certificates.client.certificate), "sslkey": str(key)}
        given = [PASSWORD_OF_KEY, WRONG]
        results = []
        for number, password in enumerate(given):
            monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            (tmp_path / "services").write_text(f"[s{number}]\nsslpassword={password}\n")
            more = {"sslpassword": password} if source == "field" else {"service": f"s{number}"}
            results.append(run(spec("postgres", {**where, **more})))
    assert results[0]["status"] == "healthy", results
    assert results[1]["error_type"] == "ConfigurationError", results
    assert "its password is wrong" in results[1]["message"]
    assert WRONG not in str(results[1])
