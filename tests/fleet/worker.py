"""A process of one host of a fleet: answers one Python expression after another, as JSON.

Its checks, whose files are in the test's directory: each run of `paid`, the fleet's, adds a line with the time, the
host and the pid to `runs`, takes as long as `seconds` says, and is in error while there is `broken`; `local`, the
host's, is in error while there is `<host>.broken`. With the option `alerts` there is `database`, too, which every host
checks, and which is in error while there is `database.broken`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import lifesigns
from lifesigns.specs import Breaker
from tests.process.host_worker import directory, keep_log, lines, noted_run

options: dict[str, Any] = json.loads(sys.argv[2])
host: str = options["host"]


def paid() -> dict[str, Any]:
    status = noted_run(f"{time.time()} {host} {os.getpid()}")
    return {"status": status, "message": host, "details": {"host": host}}


def local() -> bool:
    return not (directory / f"{host}.broken").exists()


def database() -> dict[str, str]:
    if (directory / "database.broken").exists():
        return {"status": "error", "message": f"refused by the database of {host}"}
    return {"status": "healthy", "message": "Connected"}


def make_engine() -> lifesigns.Engine:
    store = directory / "stores" / host
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    zone = f"zone-{options.get('zone', 1)}"
    fleet = {"zone": zone, "instance": host, **options["fleet"]}
    alerts = options.get("alerts")
    engine = lifesigns.Engine(
        share="fleet", application="shop", store_path=store, fleet=fleet, max_stale=1.0, alerts=alerts
    )
    ttl = options.get("ttl", 0.5)
    breaker = Breaker(failures=2, wait=60) if options.get("breaker") else None
    engine.register("paid", paid, scope="fleet", ttl=ttl, timeout=5.0, critical=False, identity="paid", breaker=breaker)
    engine.register("local", local, ttl=1.0, timeout=5.0, identity="local")
    if alerts:
        engine.register("database", database, ttl=0.3, timeout=5.0, identity="database")
    return engine


def main() -> None:
    keep_log()
    engine = make_engine()
    if options.get("background"):
        engine.start_background()
    scope = {"engine": engine, "lines": lines, "lifesigns": lifesigns, "host": host, "time": time}
    print(json.dumps("started"), flush=True)
    for line in sys.stdin:
        print(json.dumps(eval(line, scope)), flush=True)


if __name__ == "__main__":
    main()
