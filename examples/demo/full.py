"""The services of the full demo, started for it and stopped with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def services() -> Iterator[None]:
    """Real ones, to which the demo's settings point meanwhile."""
    from tests.services import Stack

    print("Starting PostgreSQL, Redis, Mosquitto, an SMTP server and the APIs ...", flush=True)
    with Stack() as stack:
        settings = stack.directory / "settings.json"
        settings.write_text(json.dumps(stack.settings()))
        os.environ |= {"LIFESIGNS_DEMO_FULL": "1", "LIFESIGNS_DEMO_STACK": str(settings)}
        yield
