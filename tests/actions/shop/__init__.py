"""A project whose workers heal themselves: what it keeps, in the folder that the environment names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))


def given() -> dict[str, Any]:
    """What the test gives to this project."""
    found: dict[str, Any] = json.loads((FOLDER / "given.json").read_text())
    return found


def note(name: str) -> None:
    """Add a line to a file that the test counts."""
    with (FOLDER / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def lines(name: str) -> list[str]:
    path = FOLDER / name
    return path.read_text().split() if path.exists() else []
