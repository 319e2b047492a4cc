"""How a server is trusted."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lifesigns.specs.base import StrPath, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls(Value):
    """TLS options of one target. Without `ca` the system's certificates are trusted."""

    verify: Literal["full", "chain", "nothing"] | None = None
    ca: StrPath | None = None
    """PEM file of trusted certificates; a server certificate that is listed in it is trusted itself."""
    cert: StrPath | None = None
    """PEM files of the client's certificate chain and key."""
    key: StrPath | None = None
    key_password: str | None = field(default=None, repr=False)
    """Password of the client's key, if it is encrypted (PKCS#8)."""
    crl: StrPath | None = None
    """PEM file of revocation lists: one for each authority of the server's chain, none of them out of date."""
    crl_directory: StrPath | None = None
    """Directory of further ones, each in a file that is named as `openssl rehash` does."""
