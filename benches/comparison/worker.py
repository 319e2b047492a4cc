"""One of several workers that request all 22 checks ten times a second, each alone or sharing one store.

Arguments: `process` or `host`, the directory of the store, and how many seconds. Prints `ready`, waits for a line, and
prints the CPU seconds that it took.
"""

from __future__ import annotations

import sys
import time
from typing import Any, cast

import django

TTL = 1.0
PERIOD = 0.1


def main(share: Any, store: str, seconds: float) -> None:
    django.setup()
    import lifesigns
    from django_lifesigns.checks.connections import runnable
    from django_lifesigns.settings.conf import read
    from django_lifesigns.targets.discovery import discover

    engine = lifesigns.Engine(default_ttl=TTL, share=share, store_path=store)
    for found in discover(read())[0]:
        options = {name: value for name, value in found.options.items() if name not in ("ttl", "depends_on")}
        engine.register(found.name, runnable(found.check), **cast("dict[str, Any]", options))
    engine.run()
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(TTL)  # what was found before is fresh no more
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        report = engine.run()
        if report["summary"]["healthy"] != report["summary"]["total_checks"]:
            raise SystemExit(f"not all is healthy: {report}")
        time.sleep(PERIOD)
    print(time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
