"""A worker among several that share a store: answers one Python expression after another, as JSON.

Its checks run in the test's directory: each run of `counted` adds a line to the file `runs`, takes as long as the file
`seconds` says, returns as many bytes as the file `size` says, and is in error while there is a file `broken`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lifesigns

directory = Path(sys.argv[1])
lines: list[str] = []


class Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        lines.append(record.getMessage())


def noted_run(line: str) -> str:
    """Add a line to `runs`, take as long as `seconds` says, and return the status."""
    with open(directory / "runs", "a") as runs:
        runs.write(f"{line}\n")
    seconds = directory / "seconds"
    time.sleep(float(seconds.read_text()) if seconds.exists() else 0.0)
    return "error" if (directory / "broken").exists() else "healthy"


def counted() -> dict[str, Any]:
    status = noted_run(str(os.getpid()))
    size = directory / "size"
    details = {"pid": os.getpid(), "text": "x" * int(size.read_text() if size.exists() else 0)}
    return {"status": status, "message": str(os.getpid()), "details": details}


def make(**options: Any) -> lifesigns.Engine:
    arguments = {"store_path": directory / "store", "share": "host", **json.loads(sys.argv[2])}
    engine = lifesigns.Engine(**arguments)
    engine.register("counted", counted, **{"timeout": 20.0, **options})
    engine.register("guarded", counted, ttl=0.001, breaker={"failures": 3, "wait": 60}, timeout=20.0)
    engine.register("timely", counted, timeout=1.0)
    engine.register("alive", {"kind": "heartbeat", "name": "worker", "max_age": 1.0}, ttl=0.001)
    return engine


def in_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        answer = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(answer)


def leave_child() -> int:
    """Fork a child that does nothing and outlives this process for a while; return its process id."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid


def in_thread(work: Callable[[], Any]) -> None:
    threading.Thread(target=work, daemon=True).start()


def wait_for_runs(count: int) -> None:
    """Wait until so many runs have started, in all processes together."""
    while not (directory / "runs").exists() or len((directory / "runs").read_text().split()) < count:
        time.sleep(0.005)


def keep_log() -> None:
    """Have `lines` hold what the engine logs."""
    logging.getLogger("lifesigns").addHandler(Lines())
    logging.getLogger("lifesigns").setLevel(logging.INFO)


def main() -> None:
    import warnings

    # Python warns of any fork beside threads; that this works is what is tested.
    warnings.simplefilter("ignore", DeprecationWarning)
    keep_log()
    names = {**globals(), "engine": make()}
    for question in sys.stdin:
        print(json.dumps(eval(question, names)), flush=True)


if __name__ == "__main__":
    main()
