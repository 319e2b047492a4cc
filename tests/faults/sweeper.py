"""The process that the soak watches: sweeps the project's checks as often as requested, and reports the results.

It prints `idle` after a warm-up and waits for a line on standard input. Then it prints the number of sweeps after each
of them, in the end as JSON how often each outcome was, and waits for another line before it ends.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections import Counter

import django

LIBC = ctypes.CDLL(None)
PAUSE_SECONDS = 0.002
WARM_UP_SWEEPS = 200
TRIM_SWEEPS = 50


def trim() -> None:
    """Let glibc give free memory back to the system, so that what is resident is in use: a leak, if it grows."""
    if hasattr(LIBC, "malloc_trim"):
        gc.collect()
        LIBC.malloc_trim(0)


def main(sweeps: int) -> None:
    django.setup()
    from django_lifesigns.runtime.engine import get_engine

    engine = get_engine()
    outcomes: Counter[str] = Counter()
    longest = 0.0
    for number in range(WARM_UP_SWEEPS + sweeps):
        if number == WARM_UP_SWEEPS:
            print("idle", flush=True)
            sys.stdin.readline()
        started = time.monotonic()
        report = engine.run(refresh=True)
        if number >= WARM_UP_SWEEPS:
            longest = max(longest, time.monotonic() - started)
            outcomes.update(one.get("error_type", one["status"]) for one in report["checks"].values())
            print(number - WARM_UP_SWEEPS + 1, report["status"], flush=True)
        if number % TRIM_SWEEPS == 0:
            trim()
        time.sleep(PAUSE_SECONDS)
    print(json.dumps({"longest": longest, "outcomes": outcomes}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
