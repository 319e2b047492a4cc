"""Certificates of X.509 version 1, which `openssl x509 -req` makes where no extension is wanted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.checks.postgres_server import run, server, spec
from tests.checks.test_tls import TlsServer, probe
from tests.services import Pair, Postgres

VERSION_1 = "the certificate is of X.509 version 1, which is not supported: issue it as version 3"


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


class Authority:
    """A root certificate of version 1, and what it signs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pair = self.issue("root", signed_by=None)

    def issue(self, name: str, *extensions: str, signed_by: Pair | None) -> Pair:
        """Issue a certificate for localhost: of version 3 if there are extensions."""
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        request = str(self.directory / f"{name}.csr")
        new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-out", request)
        openssl(*new, "-subj", f"/CN={'localhost' if signed_by else name}", "-keyout", str(pair.key))
        signer = (
            ["-CA", str(signed_by.certificate), "-CAkey", str(signed_by.key), "-CAcreateserial"] if signed_by else []
        )
        if extensions:
            file = self.directory / f"{name}.ext"
            file.write_text("\n".join(extensions))
            signer += ["-extfile", str(file)]
        by = signer if signed_by else ["-signkey", str(pair.key)]
        openssl("x509", "-req", "-in", request, "-days", "30", "-out", str(pair.certificate), *by)
        version = "Version: 3" if extensions else "Version: 1"
        assert version in openssl("x509", "-noout", "-text", "-in", str(pair.certificate))
        return pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("version_1"))


def test_root_of_version_1_is_trusted(authority: Authority) -> None:
    pair = authority.issue("new", "subjectAltName=DNS:localhost", signed_by=authority.pair)
    with TlsServer(pair) as listening:
        assert probe(listening.port, {"ca": authority.pair.certificate})["status"] == "healthy"


@pytest.mark.parametrize("verify", ["full", "chain", "nothing"])
def test_server_certificate_of_version_1_is_named(authority: Authority, verify: str) -> None:
    pair = authority.issue("old", signed_by=authority.pair)
    with TlsServer(pair) as listening:
        for ca in (authority.pair.certificate, pair.certificate):
            result = probe(listening.port, {"ca": ca, "verify": verify})
            assert result["error_type"] == "TLSError"
            assert result["message"] == f"TLS with localhost:{listening.port} failed: {VERSION_1}"


def test_postgres_certificate_of_version_1_is_named(authority: Authority) -> None:
    pair = authority.issue("postgres", signed_by=authority.pair)
    with Postgres(ssl=True) as old:
        for source, target in ((pair.certificate, "server.pem"), (pair.key, "server.key")):
            with (old.data / target).open("wb") as copy:
                copy.write(source.read_bytes())
        old.sql("SELECT pg_reload_conf()")
        where = server(old, host="localhost", sslmode="require")
        result = run(spec("postgres", where))
        assert result["error_type"] == "TLSError"
        assert result["message"] == f"TLS with localhost:{old.port} failed: {VERSION_1}"
