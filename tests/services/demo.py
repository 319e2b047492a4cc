"""The demo on real services, started for it and stopped with it: `make demo FULL=1`."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.services.stack import Stack
from tests.services.workspace import PROJECT

DEMO = PROJECT / "examples/demo"


@contextmanager
def services() -> Iterator[None]:
    """Real ones, to which the demo's settings point meanwhile."""
    print("Starting PostgreSQL, Redis, Mosquitto, an SMTP server and the APIs ...", flush=True)
    with Stack() as stack:
        settings: dict[str, Any] = stack.settings()
        # Of these services, which have other ports each time: it goes with them.
        settings["LIFESIGNS"]["STORE_PATH"] = str(stack.directory / "store")
        file = stack.directory / "settings.json"
        file.write_text(json.dumps(settings))
        os.environ |= {"LIFESIGNS_DEMO_FULL": "1", "LIFESIGNS_DEMO_STACK": str(file)}
        yield


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.path.insert(0, str(DEMO))
    with suppress(KeyboardInterrupt), services():
        runpy.run_path(str(DEMO / "run.py"), run_name="__main__")
