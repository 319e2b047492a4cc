"""A program: a worker with alerts, which says what its engine knows; and the check that fails while a file is there."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from lifesigns import CheckFailed


def flag(path: str) -> None:
    """The check."""
    if Path(path).exists():
        raise CheckFailed("The flag is up")


def main() -> None:
    """Say each change as a line of JSON, until the end of standard input."""
    import django

    django.setup()
    from django_lifesigns.runtime.engine import get_engine
    from django_lifesigns.runtime.worker import start

    start(probes=False)
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    said = ""
    while not ended.is_set():
        engine = get_engine()
        incidents = {
            found["check"]: [found["id"], found["state"], found["acknowledged_by"]] for found in engine.incidents()
        }
        now = time.time()
        silences = [found["id"] for found in engine.silences() if found["end"] > now]
        text = json.dumps({"incidents": incidents, "silences": silences})
        if text != said:
            print(said := text, flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
