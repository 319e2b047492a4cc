"""What of a server's certificate is verified, and with what files, seen through the TCP and HTTP checks."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.services import Certificates, HttpApis, Pair

if TYPE_CHECKING:
    from typing_extensions import Self

UNKNOWN = "the certificate is signed by an unknown authority, or an intermediate certificate is missing"
EXPIRED = "the certificate has expired"
WRONG_NAME = "the certificate is not valid for this host name"
NOT_LISTED = "the certificate is self-signed or not meant for servers, and not listed in `ca`"


class TlsServer:
    """Answers one handshake after another, and a request after it with `200 OK`; notes the requested host names."""

    def __init__(self, pair: Pair, *, client_ca: Path | None = None, tls12: bool = False, host: str = "127.0.0.1"):
        self.requested_names: list[str | None] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._context.sni_callback = lambda _socket, name, _context: self.requested_names.append(name)
        if tls12:
            self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        if client_ca is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(client_ca)
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(5)
            with plain, suppress(OSError), self._context.wrap_socket(plain, server_side=True) as stream:
                if stream.recv(65_536):
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def probe(port: int, tls: dict[str, Any], *, host: str = "localhost", timeout: float = 5.0) -> dict[str, Any]:
    engine = Engine(default_timeout=timeout)
    options = {key: str(value) for key, value in tls.items()}
    engine.register("port", {"kind": "tcp", "host": host, "port": port, "tls": options})
    return dict(engine.check("port", refresh=True))


def get(port: int, tls: dict[str, Any]) -> dict[str, Any]:
    engine = Engine()
    options = {key: str(value) for key, value in tls.items()}
    engine.register("url", {"kind": "http", "url": f"https://localhost:{port}/", "tls": options})
    return dict(engine.check("url", refresh=True))


def self_signed(directory: Path, *, days: int) -> Pair:
    """As `openssl req -x509` makes it (an authority as well), valid until `days` from now."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(directory / f"self-signed{days}.pem", directory / f"self-signed{days}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pair


@dataclass(frozen=True)
class Case:
    server: str
    ca: str
    host: str = "localhost"
    full: str = "healthy"
    chain: str = "healthy"


CASES = [
    Case("server", "ca"),
    Case("server", "ca", host="127.0.0.1"),
    Case("server", "ca", host="127.0.0.2", full=WRONG_NAME),
    Case("self_signed", "self_signed"),
    Case("self_signed", "self_signed", host="127.0.0.1"),
    Case("self_signed", "self_signed", host="127.0.0.2", full=WRONG_NAME),
    Case("self_signed", "ca", full=NOT_LISTED, chain=NOT_LISTED),
    Case("server", "server"),
    Case("expired", "ca", full=EXPIRED, chain=EXPIRED),
    Case("expired", "expired", full=EXPIRED, chain=EXPIRED),
    Case("stranger", "ca", full=UNKNOWN, chain=UNKNOWN),
    Case("server", "stranger", full=UNKNOWN, chain=UNKNOWN),
]


@pytest.mark.parametrize("verify", ["full", "chain", "nothing"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.server}-{case.ca}-{case.host}")
def test_verification(certificates: Certificates, case: Case, verify: str) -> None:
    listed = getattr(certificates, case.ca)
    ca = listed.certificate if isinstance(listed, Pair) else listed
    address = "127.0.0.1" if case.host == "localhost" else case.host
    expected = {"full": case.full, "chain": case.chain, "nothing": "healthy"}[verify]
    with TlsServer(getattr(certificates, case.server), host=address) as server:
        result = probe(server.port, {"verify": verify, "ca": ca}, host=case.host)
    if expected == "healthy":
        assert result["status"] == "healthy", result
    else:
        assert result["error_type"] == "TLSError", result
        assert result["message"] == f"TLS with {case.host}:{server.port} failed: {expected}"


def test_listed_certificate__but_expired(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, days=-1)
    with TlsServer(pair) as server:
        result = probe(server.port, {"ca": pair.certificate})
    assert result["message"].endswith(EXPIRED), result


def test_listed_certificate__not_valid_yet(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, days=60)
    with TlsServer(pair) as server:
        result = probe(server.port, {"ca": pair.certificate})
    assert result["message"].endswith("the certificate is not valid yet"), result


def test_server_name_is_sent__but_no_address(certificates: Certificates) -> None:
    with TlsServer(certificates.server) as server:
        for host in ("localhost", "127.0.0.1"):
            assert probe(server.port, {"ca": certificates.ca}, host=host)["status"] == "healthy"
    assert server.requested_names == ["localhost", None]


@pytest.mark.parametrize("known", [True, False])
def test_without_ca_the_systems_certificates_count(certificates: Certificates, known: bool) -> None:
    program = (
        "import sys; from lifesigns import Engine; engine = Engine();"
        "engine.register('port', {'kind': 'tcp', 'host': 'localhost', 'port': int(sys.argv[1]), 'tls': {}});"
        "print(engine.check('port')['message'])"
    )
    ca = certificates.ca if known else certificates.stranger.certificate
    environment = {key: value for key, value in os.environ.items() if key != "SSL_CERT_DIR"}
    environment["SSL_CERT_FILE"] = str(ca)
    with TlsServer(certificates.server) as server:
        command = [sys.executable, "-c", program, str(server.port)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip().endswith("accepts connections" if known else UNKNOWN), run.stdout


@pytest.mark.parametrize("tls12", [True, False])
def test_client_certificate(certificates: Certificates, tls12: bool) -> None:
    client = {"ca": certificates.ca, "cert": certificates.client.certificate, "key": certificates.client.key}
    with TlsServer(certificates.server, client_ca=certificates.ca, tls12=tls12) as server:
        assert get(server.port, client)["status"] == "healthy"
        assert probe(server.port, client)["status"] == "healthy"


@pytest.mark.parametrize("tls12", [True, False])
def test_client_certificate__missing(certificates: Certificates, tls12: bool) -> None:
    with TlsServer(certificates.server, client_ca=certificates.ca, tls12=tls12) as server:
        result = get(server.port, {"ca": certificates.ca})
    assert result["error_type"] == "TLSError", result


def test_client_certificate__unknown(certificates: Certificates) -> None:
    stranger = {"ca": certificates.ca, "cert": certificates.stranger.certificate, "key": certificates.stranger.key}
    with TlsServer(certificates.server, client_ca=certificates.ca) as server:
        result = get(server.port, stranger)
    assert result["error_type"] == "TLSError", result
    assert result["message"].endswith("the server refused the client certificate"), result


Options = Callable[[Path, Certificates], dict[str, Path]]
UNUSABLE: dict[str, Options] = {
    "missing": lambda path, known: {"ca": path},
    "directory": lambda path, known: {"ca": path.parent},
    "no certificate": lambda path, known: {"ca": _written(path, "nothing to see here\n")},
    "cut off": lambda path, known: {"ca": _written(path, known.ca.read_text()[:200])},
    "not base64": lambda path, known: {
        "ca": _written(path, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    },
    "missing key": lambda path, known: {"cert": known.client.certificate, "key": path},
    "encrypted key": lambda path, known: {
        "cert": known.client.certificate,
        "key": _written(path, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    },
    "another's key": lambda path, known: {
        "cert": known.client.certificate,
        "key": _written(path, known.server.key.read_text()),
    },
}


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("fault", UNUSABLE)
def test_unusable_file(certificates: Certificates, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "file.pem"
    tls = {"ca": certificates.ca} | UNUSABLE[fault](path, certificates)
    with TlsServer(certificates.server) as server:
        result = probe(server.port, tls)
    assert result["error_type"] == "ConfigurationError", result
    assert str(path if path in tls.values() else tmp_path) in result["message"]


@pytest.mark.parametrize("lone", ["cert", "key"])
def test_client_certificate__half(certificates: Certificates, lone: str) -> None:
    with TlsServer(certificates.server) as server:
        result = probe(server.port, {"ca": certificates.ca, lone: certificates.client.certificate})
    assert result["error_type"] == "ConfigurationError", result


def test_renewed_file_is_read_again(certificates: Certificates, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(certificates.stranger.certificate, ca)
    os.utime(ca, (1, 1))
    with TlsServer(certificates.server) as server:
        for check in (probe, get):
            assert check(server.port, {"ca": ca})["error_type"] == "TLSError"
        shutil.copy(certificates.ca, ca)
        for check in (probe, get):
            assert check(server.port, {"ca": ca})["status"] == "healthy"


def test_http_over_tls(certificates: Certificates) -> None:
    with HttpApis(tls=True) as apis:
        assert get(apis.port, {"ca": certificates.stranger.certificate})["message"].endswith(UNKNOWN)
        engine = Engine()
        tls = {"ca": str(certificates.ca)}
        spec = {"kind": "openai", "api_key": apis.openai_key, "base_url": apis.openai_base_url, "tls": tls}
        engine.register("openai", spec)
        assert engine.check("openai", refresh=True)["status"] == "healthy"


UNENCRYPTED: dict[str, tuple[Callable[[], misbehaving.MisbehavingServer], str, str]] = {
    "silent": (misbehaving.silent, "TimeoutError", "Timed out after 0.5 s (during the TLS handshake)"),
    "drip": (
        lambda: misbehaving.drip(greeting=b"\x16\x03\x03\x10\x00", interval=0.1),
        "TimeoutError",
        "Timed out after 0.5 s (during the TLS handshake)",
    ),
    "closes": (misbehaving.closes, "ConnectionResetError", "{target} closed the connection during the TLS handshake"),
    "banner": (misbehaving.banner, "TLSError", "TLS with {target} failed: the server does not speak TLS"),
    "garbage": (misbehaving.garbage, "TLSError", "TLS with {target} failed: the server does not speak TLS"),
    "flood": (misbehaving.flood, "TLSError", "TLS with {target} failed: the server does not speak TLS"),
}


@pytest.mark.parametrize("mode", UNENCRYPTED)
def test_servers_without_tls(mode: str) -> None:
    make, error_type, message = UNENCRYPTED[mode]
    with make() as server:
        result = probe(server.port, {"verify": "nothing"}, host="127.0.0.1", timeout=0.5)
    assert result["error_type"] == error_type, result
    assert result["message"] == message.format(target=f"127.0.0.1:{server.port}")
