"""The services of the full demo, started for it and stopped with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def services() -> Iterator[None]:
    """Real ones, to which the demo's settings point meanwhile."""
    from tests.services import Stack

    print("Starting PostgreSQL, Redis, Mosquitto, an SMTP server and the APIs ...", flush=True)
    with Stack() as stack:
        settings: dict[str, Any] = stack.settings()
        # Of these services, which have other ports each time: it goes with them.
        settings["LIFESIGNS"]["STORE_PATH"] = str(stack.directory / "store")
        file = stack.directory / "settings.json"
        file.write_text(json.dumps(settings))
        os.environ |= {"LIFESIGNS_DEMO_FULL": "1", "LIFESIGNS_DEMO_STACK": str(file)}
        yield
