"""Kill workers that share a store at random instants (kill -9), and report what it does to the others.

`make kill-test` kills 1,000: no hang over 1 s, no wrong status, no damage to the store. The workers run nothing but
checks that cost next to nothing, so that many kills hit them while they write. Two of them are spared: a worker that
lives for a moment only cannot report a hang.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import lifesigns

HANG = 1.0
SPARED = 2
NATIVE = [f"native_{index}" for index in range(10)]
STATUSES = {
    "healthy": "healthy",
    "slow": "healthy",
    "degraded": "degraded",
    "error": "error",
    **dict.fromkeys(NATIVE, "skipped"),
}


def engine(store: Path) -> lifesigns.Engine:
    """Return an engine with checks that are due in each sweep."""
    engine = lifesigns.Engine(share="host", store_path=store, default_ttl=0.001, default_timeout=5.0)

    def slow() -> str:
        time.sleep(0.01)
        return "healthy"

    engine.register("healthy", lambda: {"status": "healthy", "details": {"text": "x" * random.randrange(50_000)}})
    engine.register("slow", slow, breaker={"failures": 1})
    engine.register("degraded", lambda: "degraded")
    engine.register("error", lambda: False)
    for name in NATIVE:
        engine.register(name, {"kind": "skipped", "reason": "nothing to do"})
    return engine


def work(store: Path, complaints: Path) -> None:
    """Run checks without end, and write what is wrong to the file `complaints`."""
    import logging

    def complain(text: str) -> None:
        with complaints.open("a") as file:
            file.write(f"{os.getpid()}: {text}\n")

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complain(record.getMessage())

    logger = logging.getLogger("lifesigns")
    logger.addHandler(Handler())
    # Of the store and the engine alone: that checks fail here is what they are for.
    for name in ("checks", "readiness", "breakers"):
        logging.getLogger(f"lifesigns.{name}").propagate = False
        logging.getLogger(f"lifesigns.{name}").addHandler(logging.NullHandler())
    progress = progress_of(store, os.getpid())
    try:
        ours = engine(store)
        while True:
            progress.touch()
            started, cpu = time.monotonic(), time.process_time()
            report = ours.run()
            took = time.monotonic() - started
            if took > HANG:
                complain(f"a sweep took {took:.3f} s, {time.process_time() - cpu:.3f} s of it at work")
            statuses = {name: result["status"] for name, result in report["checks"].items()}
            if statuses != STATUSES:
                complain(f"wrong: {report['checks']}")
            ours.run(NATIVE, refresh=True)
    except BaseException as error:
        complain(repr(error))
        raise


def progress_of(store: Path, pid: int) -> Path:
    """Return the file that a worker touches before each sweep."""
    return store.with_name(f"progress-{pid}")


def hangs(store: Path, pid: int) -> bool:
    """Return whether a worker has not ended a sweep for too long."""
    try:
        return time.time() - progress_of(store, pid).stat().st_mtime > HANG
    except FileNotFoundError:
        return False


def fork(store: Path, complaints: Path) -> int:
    pid = os.fork()
    if pid == 0:
        random.seed()
        try:
            work(store, complaints)
        finally:
            os._exit(1)
    return pid


def kill_at_random(store: Path, kills: int, workers: int, seed: int | None = None) -> list[str]:
    """Kill so many workers one after another, each replaced by a new one; return what was wrong in the others."""
    choice = random.Random(seed)
    complaints = store.with_name("complaints")
    complaints.touch()
    found: list[str] = []
    alive = [fork(store, complaints) for _ in range(workers)]
    try:
        for _ in range(kills):
            time.sleep(choice.random() * 0.05)
            found += [f"{pid}: hangs" for pid in alive if hangs(store, pid)]
            victim = alive.pop(choice.randrange(SPARED, workers))
            os.kill(victim, signal.SIGKILL)
            _, status = os.waitpid(victim, 0)
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                complaints.open("a").write(f"{victim}: ended by itself with {status}\n")
            alive.append(fork(store, complaints))
        time.sleep(HANG)
        found += [f"{pid}: hangs at the end" for pid in alive if hangs(store, pid)]
    finally:
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    # All are dead: what they leave behind must delay no process.
    started = time.monotonic()
    statuses = {name: result["status"] for name, result in engine(store).run()["checks"].items()}
    found += complaints.read_text().splitlines()
    if time.monotonic() - started > HANG or statuses != STATUSES:
        found.append(f"afterwards: {statuses} in {time.monotonic() - started:.3f} s")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        found = kill_at_random(Path(directory, "store"), arguments.kills, arguments.workers, arguments.seed)
    print(
        f"{arguments.kills} kills among {arguments.workers} workers in {time.monotonic() - started:.0f} s"
        f" (--seed {arguments.seed}): {len(found)} complaints"
    )
    print("\n".join(found[:20]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
