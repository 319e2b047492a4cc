"""Revoked server certificates, seen through the TCP, HTTP and PostgreSQL checks."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.checks.postgres_server import run, server, spec
from tests.checks.test_tls import TlsServer, get, probe
from tests.services import Pair, Postgres

if TYPE_CHECKING:
    import trustme

REVOKED = "the certificate is revoked"
UNCOVERED = "no revocation list covers the certificate"


class Authority:
    """An authority with one certificate for localhost, and what it publishes about it."""

    def __init__(self, directory: Path) -> None:
        import trustme

        self._ca = trustme.CA()
        self._directory = directory
        self.ca = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)
        self._issued = self._ca.issue_cert("localhost")
        self.pair = self._write(self._issued)

    def _write(self, issued: trustme.LeafCert) -> Pair:
        pair = Pair(self._directory / "server.pem", self._directory / "server.key")
        pair.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(pair.key)
        issued.cert_chain_pems[0].write_to_path(pair.certificate)
        return pair

    def crl(self, *, revoked: bool, days: int = 30, name: str = "list.pem") -> Path:
        """Write a list that is valid until `days` from now."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        authority = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        key: Any = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        start = end - datetime.timedelta(days=60)
        builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
        builder = builder.last_update(start).next_update(end).add_extension(x509.CRLNumber(1), critical=False)
        for serial in self._serials() if revoked else ():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start)
            builder = builder.add_revoked_certificate(entry.build())
        path = self._directory / name
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def _serials(self) -> Iterable[int]:
        from cryptography import x509

        return [x509.load_pem_x509_certificate(self._issued.cert_chain_pems[0].bytes()).serial_number]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("verify", ["full", "chain"])
@pytest.mark.parametrize("check", [probe, get], ids=["tcp", "http"])
def test_revoked_certificate_is_refused(authority: Authority, check: Any, verify: str) -> None:
    with TlsServer(authority.pair) as listener:
        tls = {"ca": authority.ca, "verify": verify, "crl": authority.crl(revoked=True)}
        result = check(listener.port, tls)
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith(REVOKED), result


def test_revoked_certificate_for_another_host_is_refused(authority: Authority) -> None:
    with TlsServer(authority.pair) as listener:
        tls = {"ca": authority.ca, "verify": "chain", "crl": authority.crl(revoked=True)}
        result = probe(listener.port, tls, host="127.0.0.1")
    assert result["message"].endswith(REVOKED), result


def test_valid_certificate_with_list_is_accepted(authority: Authority) -> None:
    with TlsServer(authority.pair) as listener:
        tls = {"ca": authority.ca, "crl": authority.crl(revoked=False)}
        assert probe(listener.port, tls)["status"] == "healthy"
        assert probe(listener.port, {**tls, "verify": "chain"}, host="127.0.0.1")["status"] == "healthy"
        wrong_name = probe(listener.port, tls, host="127.0.0.1")
    assert wrong_name["message"].endswith("the certificate is not valid for this host name"), wrong_name


def test_expired_list_is_refused(authority: Authority) -> None:
    with TlsServer(authority.pair) as listener:
        result = probe(listener.port, {"ca": authority.ca, "crl": authority.crl(revoked=False, days=-1)})
    assert result["message"].endswith("the revocation list has expired"), result


def test_list_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    foreign = Authority(tmp_path).crl(revoked=False)
    with TlsServer(authority.pair) as listener:
        result = probe(listener.port, {"ca": authority.ca, "crl": foreign})
    assert result["error_type"] == "TLSError", result


def test_listed_certificate_without_own_list_is_refused(authority: Authority) -> None:
    with TlsServer(authority.pair) as listener:
        result = probe(listener.port, {"ca": authority.pair.certificate, "crl": authority.crl(revoked=True)})
    assert result["message"].endswith(UNCOVERED), result


def test_unusable_list_is_configuration_error(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "list.pem"
    with TlsServer(authority.pair) as listener:
        for text in (None, "nothing\n", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
            if text is not None:
                path.write_text(text)
            result = probe(listener.port, {"ca": authority.ca, "crl": path})
            assert result["error_type"] == "ConfigurationError", result
            assert str(path) in result["message"]


def test_lists_of_file_and_directory_count_together(authority: Authority, tmp_path: Path) -> None:
    foreign = Authority(tmp_path).crl(revoked=False)
    authority.crl(revoked=True).rename(tmp_path / "0a1b2c3d.r0")
    with TlsServer(authority.pair) as listener:
        result = probe(listener.port, {"ca": authority.ca, "crl": foreign, "crl_directory": tmp_path})
    assert result["message"].endswith(REVOKED), result


def test_replaced_list_is_read_again(authority: Authority) -> None:
    import os

    with TlsServer(authority.pair) as listener:
        crl = authority.crl(revoked=False, name="replaced.pem")
        os.utime(crl, (1, 1))
        assert probe(listener.port, {"ca": authority.ca, "crl": crl})["status"] == "healthy"
        authority.crl(revoked=True, name="replaced.pem")
        assert probe(listener.port, {"ca": authority.ca, "crl": crl})["message"].endswith(REVOKED)


@pytest.fixture(scope="module")
def revoked_server(authority: Authority) -> Iterable[Postgres]:
    with Postgres(ssl=True) as secure:
        for source, target in ((authority.pair.certificate, "server.pem"), (authority.pair.key, "server.key")):
            with (secure.data / target).open("wb") as copy:
                copy.write(source.read_bytes())
        secure.sql("SELECT pg_reload_conf()")
        yield secure


@pytest.mark.parametrize("source", ["field", "service", "environment", "home"])
def test_sslcrl_of_each_source_refuses_revoked_certificate(
    revoked_server: Postgres, authority: Authority, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    where = server(revoked_server, host="localhost", sslmode="verify-full", sslrootcert=str(authority.ca))
    assert run(spec("postgres", {**where, "application_name": source}))["status"] == "healthy"
    crl = authority.crl(revoked=True)
    if source == "field":
        where["sslcrl"] = str(crl)
    elif source == "service":
        (tmp_path / ".pg_service.conf").write_text(f"[mine]\nsslcrl={crl}\n")
        where["service"] = "mine"
    elif source == "environment":
        monkeypatch.setenv("PGSSLCRL", str(crl))
    else:
        (tmp_path / ".postgresql").mkdir()
        (tmp_path / ".postgresql/root.crl").write_bytes(crl.read_bytes())
    result = run(spec("postgres", {**where, "connect_timeout": 4}))
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith(REVOKED), result


@pytest.mark.parametrize("source", ["field", "service", "environment"])
def test_sslcrldir_of_each_source_refuses_revoked_certificate(
    revoked_server: Postgres, authority: Authority, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "lists"
    directory.mkdir()
    (directory / "README").write_text("no list")
    authority.crl(revoked=False, name="valid.pem").rename(directory / "0a1b2c3d.r0")
    where = server(revoked_server, host="localhost", sslmode="verify-full", sslrootcert=str(authority.ca))
    if source == "field":
        where["sslcrldir"] = str(directory)
    elif source == "service":
        (tmp_path / "services").write_text(f"[mine]\nsslcrldir={directory}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        where["service"] = "mine"
    else:
        monkeypatch.setenv("PGSSLCRLDIR", str(directory))
    assert run(spec("postgres", {**where, "application_name": f"{source} valid"}))["status"] == "healthy"
    (directory / "0a1b2c3d.r0").unlink()
    authority.crl(revoked=True, name="revoked.pem").rename(directory / "0a1b2c3d.r0")
    result = run(spec("postgres", {**where, "application_name": f"{source} revoked", "connect_timeout": 4}))
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith(REVOKED), result


def test_sslcrldir_without_lists_is_configuration_error(
    revoked_server: Postgres, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "list.pem").write_text("not named as a list")
    where = server(revoked_server, host="localhost", sslmode="verify-full", sslrootcert=str(authority.ca))
    for directory, expected in ((tmp_path, "holds no revocation list"), (tmp_path / "none", "cannot be read")):
        result = run(spec("postgres", {**where, "sslcrldir": str(directory)}))
        assert result["error_type"] == "ConfigurationError", result
        assert expected in result["message"]
        assert str(directory) in result["message"]


def test_sslcrldir_of_a_server_that_is_not_verified_is_not_read(revoked_server: Postgres, tmp_path: Path) -> None:
    where = server(revoked_server, host="localhost", sslmode="require")
    assert run(spec("postgres", {**where, "sslcrldir": str(tmp_path / "none")}))["status"] == "healthy"
