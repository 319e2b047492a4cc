"""A worker of an application for `tests.faults.isolation`: evaluates the expressions that it reads, one a line."""

from __future__ import annotations

import ctypes
import json
import logging
import sys
from typing import Any

import lifesigns

logging.getLogger("lifesigns").addHandler(logging.NullHandler())
options = json.loads(sys.argv[1])
engine = lifesigns.Engine(
    default_timeout=options["timeout"],
    share="host",
    application="isolation",
    store_path=options["store"],
    alerts=options.get("alerts"),
)
server, tls = options["server"], {"ca": options["ca"]}
tasks = {"server": server, "tables": ["background_task"]}
DEPTHS = "SELECT queue_name, count(*), min(updated_at) FROM background_task GROUP BY 1"

engine.register("database", {"kind": "postgres", "server": server})
engine.register("postgis", {"kind": "postgis", "server": server})
engine.register("functions", {"kind": "postgres_functions", "server": server, "functions": ["pg_sleep"]})
engine.register("pending_tasks", {"kind": "pending_tasks", "sql": DEPTHS, **tasks}, critical=False)
engine.register("redis", {"kind": "redis", "url": options["redis"]})
engine.register("tls", {"kind": "http", "url": "https://127.0.0.1:1/", "tls": tls}, critical=False)
engine.register("disk", {"kind": "disk", "paths": ["/"], "thresholds": {"degraded_above": 100, "error_above": 100}})
engine.register("memory", {"kind": "memory", "thresholds": {"degraded_above": 100, "error_above": 100}})
engine.register("callable", lambda: None)
alerted = {"web": True, "mail": True}
engine.register("alerted", lambda: alerted["web"], critical=False)
engine.register("alerted_by_mail", lambda: alerted["mail"], critical=False)
engine.register("heartbeat", {"kind": "heartbeat", "name": "nightly", "max_age": 3_600})
if options.get("background"):
    probe = engine.serve("127.0.0.1:0", wedged_after=options["wedged_after"])


if engine.check("heartbeat")["status"] != "healthy":  # by the first process alone, and once
    lifesigns.beat("nightly")


def report() -> dict[str, dict[str, Any]]:
    """A fresh sweep: status and duration of each check."""
    results = engine.run(refresh=True)["checks"]
    # It is refused at once: what it is about is its CA file.
    results["tls"]["status"] = "healthy" if results["tls"].get("error_type") == "ConnectionRefusedError" else "error"
    return {name: {key: result[key] for key in ("status", "duration_ms")} for name, result in results.items()}


def slow(sql: str) -> None:
    """Have the check of the queue's depths run another statement."""
    engine.replace("pending_tasks", {"kind": "pending_tasks", "sql": sql, **tasks})


def hold_interpreter(seconds: int) -> None:
    """Keep the GIL, as a C extension may."""
    ctypes.PyDLL(None).sleep(seconds)


def fail() -> None:
    """Have the two checks fail that alert."""
    alerted.update(web=False, mail=False)


def beats(count: int) -> None:
    for index in range(count):
        lifesigns.beat(f"name-{index}")


print(json.dumps("started"), flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)  # what it evaluates are the expressions of these tests
