"""Certificates as PEM files: good ones for localhost, and the wrong ones that a client must refuse."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services import workspace

if TYPE_CHECKING:
    import trustme

NAMES = ("localhost", "127.0.0.1")

_lock = threading.Lock()
_made: dict[int, Certificates] = {}  # by pid, like the directories that they are in


@dataclass(frozen=True)
class Pair:
    """A certificate (with its chain) and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    ca: Path
    """The authority that `server`, `client` and `expired` are signed by."""
    server: Pair
    """Valid for localhost and 127.0.0.1."""
    client: Pair
    """For a client named `app`."""
    expired: Pair
    """As `server`, but over since yesterday."""
    stranger: Pair
    """As `server`, but signed by an unknown authority."""
    self_signed: Pair
    """What `openssl req -x509` makes: its own authority, for localhost and 127.0.0.1."""


def certificates() -> Certificates:
    """Those of this process, made on first use (0.1 s)."""
    with _lock:
        pid = os.getpid()
        if pid not in _made:
            _made[pid] = make(workspace.new_directory("certificates"))
        return _made[pid]


def make(directory: Path) -> Certificates:
    """Make a set of them in `directory`."""
    import trustme  # a development requirement, needed only where certificates are requested

    authority, unknown = trustme.CA(), trustme.CA()
    ca = directory / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    return Certificates(
        ca=ca,
        server=_write(directory, "server", authority.issue_cert(*NAMES)),
        client=_write(directory, "client", authority.issue_cert("client.test", common_name="app")),
        expired=_write(directory, "expired", authority.issue_cert(*NAMES, not_after=yesterday)),
        stranger=_write(directory, "stranger", unknown.issue_cert(*NAMES)),
        self_signed=_self_signed(directory),
    )


def _write(directory: Path, name: str, issued: trustme.LeafCert) -> Pair:
    pair = _pair(directory, name)
    pair.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(pair.key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(pair.certificate, append=True)
    return pair


def _self_signed(directory: Path) -> Pair:
    pair = _pair(directory, "self-signed")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "30"),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return pair


def _pair(directory: Path, name: str) -> Pair:
    return Pair(directory / f"{name}.pem", directory / f"{name}.key")
