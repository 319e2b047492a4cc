"""A program: records sweeps of two checks, as many as requested, from this process or from children forked by it."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from uuid import uuid4

import django


def report(process: int, number: int) -> dict[str, object]:
    """A sweep in which `good` is well, and `bad` is not every other time."""
    at = datetime.now(timezone.utc).isoformat()
    common = {"message": f"{process} {number}", "timestamp": at, "duration_ms": 1.0, "cached": False}
    statuses = {"good": "healthy", "bad": "error" if number % 2 else "healthy"}
    checks = {name: {**common, "status": status} for name, status in statuses.items()}
    return {"checks": checks, "correlation_id": str(uuid4())}


def record_all(process: int, sweeps: int) -> bool:
    """Whether they are all written within a minute."""
    from django_lifesigns.history import recorder

    for number in range(sweeps):
        recorder.record(report(process, number), wait=0.01)
    return any(recorder.flush(1) for _ in range(60))


def main(processes: int, sweeps: int) -> int:
    """Exit code 0 if every process has written everything."""
    django.setup()
    record_all(0, 1)  # the children must not share their parent's connections, threads or buffer
    children = []
    for process in range(1, processes):
        child = os.fork()
        if child == 0:
            os._exit(0 if record_all(process, sweeps) else 1)
        children.append(child)
    written = record_all(0, sweeps)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return 0 if written and not any(ended) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
