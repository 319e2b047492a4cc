"""A process of one host of a fleet that acts: answers one Python expression after another, as JSON.

Its checks, by files in the test's directory: `paid`, the fleet's, is in error while there is `broken`; `local`, each
host's, while there is `<host>.broken`; `own_<host>`, which no other host has, while there is `<host>.own_broken`.

Its action `heal`, and what others of the test's `actions` call, adds a line to `acted` (`start` or `end`, the time, the
host, the pid), takes as long as the file `acting_seconds` says, and removes what the file `heals` names, `HOST` being
the host.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import lifesigns
from tests.process.host_worker import directory, keep_log, lines

options: dict[str, Any] = json.loads(sys.argv[2])
host: str = options["host"]


def note(what: str) -> None:
    with open(directory / "acted", "a") as acted:
        acted.write(f"{what} {time.time()} {host} {os.getpid()}\n")


def heal() -> str:
    note("start")
    seconds = directory / "acting_seconds"
    time.sleep(float(seconds.read_text()) if seconds.exists() else 0.0)
    heals = directory / "heals"
    if heals.exists():
        (directory / heals.read_text().replace("HOST", host)).unlink(missing_ok=True)
    note("end")
    return f"healed by {host}"


def make_engine() -> lifesigns.Engine:
    store = directory / "stores" / host
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    actions = {
        name: {"action": heal, "dry_run": False, "cooldown": 0, "timeout": 120, **entry}
        for name, entry in json.loads(json.dumps(options["actions"]).replace("HOST", host)).items()
    }
    engine = lifesigns.Engine(
        share="fleet",
        application="shop",
        store_path=store,
        fleet={"instance": host, **options["fleet"]},
        actions=actions,
    )

    def register(name: str, broken: str, **more: Any) -> None:
        engine.register(name, lambda: not (directory / broken).exists(), timeout=5.0, identity=name, **more)

    register("paid", "broken", scope="fleet", ttl=0.5, critical=False)
    register("local", f"{host}.broken", ttl=0.5, critical=False)
    register(f"own_{host}", f"{host}.own_broken", ttl=0.5, critical=False)
    return engine


def main() -> None:
    keep_log()
    engine = make_engine()
    engine.start_background()
    scope = {"engine": engine, "lines": lines, "lifesigns": lifesigns}
    print(json.dumps("started"), flush=True)
    for line in sys.stdin:
        print(json.dumps(eval(line, scope)), flush=True)


if __name__ == "__main__":
    main()
