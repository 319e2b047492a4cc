"""How a server is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifesigns.specs.base import StrPath, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls(Value):
    """How a server is trusted: its chain and name ("full"), its chain, or nothing. PEM files: `ca` (default: the
    system's certificates), `cert` and `key` of the client."""

    verify: Literal["full", "chain", "nothing"] | None = None
    ca: StrPath | None = None
    cert: StrPath | None = None
    key: StrPath | None = None
