"""The process that the soak watches: sweeps the project's checks as often as it is told, and says how that went.

Prints a line `well: N` after each sweep (N of them so far), as JSON in the end how often each outcome was, and waits
for a line on standard input before it ends: idle, as it was before.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import django

PAUSE_SECONDS = 0.005
WARM_UP_SWEEPS = 200


def main(sweeps: int) -> None:
    django.setup()
    from django_lifesigns.engine import get_engine

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
        time.sleep(PAUSE_SECONDS)
    print(json.dumps({"longest": longest, "outcomes": outcomes}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
