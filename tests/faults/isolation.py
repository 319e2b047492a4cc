"""What must not be shared: for each fault, the status and the duration of every *other* check, before and meanwhile.

`make faults` prints it as a table of its own; exit code 1 if a fault reaches another check.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import page
from tests.faults.receivers import HangingReceivers
from tests.process.probes import fetch
from tests.services import Postgres, Redis, wait_until
from tests.services.certificates import certificates
from tests.services.cluster import DATABASE, PASSWORD, USER

ROUNDS = 12
# How far the median duration of another check may be from its usual one, in milliseconds.
NEAR = 50.0
TIMEOUT = 1.0
WEDGED_AFTER = 2.0
SLOW = "SELECT q, 1, now() FROM (SELECT 'default' AS q, pg_sleep(6)) AS slow"
PIDS = Path("/sys/fs/cgroup/pids")


class Worker:
    """A process of an application, driven by expressions: see `tests.faults.isolated`."""

    def __init__(self, options: dict[str, Any], *, before: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.faults.isolated", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, expression: str) -> None:
        """Have it evaluate `expression`; `receive` returns the value."""
        assert self._process.stdin is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the worker has ended"
        return json.loads(line)

    def evaluate(self, expression: str) -> Any:
        self.send(expression)
        return self.receive()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@dataclass
class Scene:
    """The services, one watching worker, and where to put things."""

    postgres: Postgres
    redis: Redis
    directory: Path
    store: Path
    ca: Path
    undo: ExitStack
    receivers: HangingReceivers

    def options(self, **more: Any) -> dict[str, Any]:
        server = {"host": self.postgres.host, "port": self.postgres.port, "user": USER, "dbname": DATABASE}
        return {
            "server": server | {"password": PASSWORD},
            "redis": self.redis.url,
            "ca": str(self.ca),
            "store": str(self.store),
            "timeout": TIMEOUT,
            "wedged_after": WEDGED_AFTER,
            **more,
        }

    def worker(self, before: tuple[str, ...] = (), **more: Any) -> Worker:
        worker = Worker(self.options(**more), before=before)
        self.undo.callback(worker.close)
        assert worker.receive() == "started"
        return worker


Fault = Callable[[Scene, Worker], "Iterator[None]"]


@contextmanager
def ca_file_hangs(scene: Scene, worker: Worker) -> Iterator[None]:
    """The CA file of one check is a FIFO that nothing is written to, as a file on a dead mount is."""
    scene.ca.unlink()
    os.mkfifo(scene.ca)
    yield


@contextmanager
def slow_statement(scene: Scene, worker: Worker) -> Iterator[None]:
    """One diagnostic statement takes 6 s."""
    worker.evaluate(f"slow({SLOW!r})")
    yield


@contextmanager
def wedged_worker(scene: Scene, worker: Worker) -> Iterator[None]:
    """Another worker of the application holds its interpreter for 20 s, and had renewed the results for all."""
    other = scene.worker(background=True)
    other.evaluate("report()")
    other.send("hold_interpreter(20)")
    time.sleep(0.5)
    yield


@contextmanager
def no_threads_left(scene: Scene, worker: Worker) -> Iterator[None]:
    """The worker's cgroup has as many processes and threads as it may have."""
    group = PIDS / f"lifesigns-{os.getpid()}"
    group.mkdir()
    scene.undo.callback(lambda: _remove_group(group))
    (group / "cgroup.procs").write_text(str(worker.pid))
    (group / "pids.max").write_text((group / "pids.current").read_text())
    yield


def _remove_group(group: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(OSError):
            (PIDS / "cgroup.procs").write_text(pid)
    with suppress(OSError):
        group.rmdir()


@contextmanager
def container_with_same_pid(scene: Scene, worker: Worker) -> Iterator[None]:
    """Another container that shares memory has a process of the same pid, whose interpreter is held."""
    unshared = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    twins = [scene.worker(unshared, background=True) for _ in range(2)]
    for twin in twins:
        twin.evaluate("report()")
    addresses = [twin.evaluate("probe.address") for twin in twins]
    twins[0].send("hold_interpreter(20)")
    wait_until(lambda: fetch(addresses[0], "/alive").code == 503, 10)
    assert fetch(addresses[1], "/alive").code == 200, "the wedge of one container makes the other's /alive 503"
    yield


@contextmanager
def beat_flood(scene: Scene, worker: Worker) -> Iterator[None]:
    """A process sends heartbeats under 5,000 names."""
    scene.worker().evaluate("beats(5_000)")
    yield


@contextmanager
def hanging_receivers(scene: Scene, worker: Worker) -> Iterator[None]:
    """The receivers of alerts accept and say nothing: 20 attempts hang."""
    worker.evaluate("fail()")
    worker.evaluate("report()")
    scene.receivers.wait_for_webhooks()
    yield


@contextmanager
def full_disk(scene: Scene, worker: Worker) -> Iterator[None]:
    """The disk of the store has no byte left."""
    filler = scene.store / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65_536)
            file.flush()
    yield


@dataclass(frozen=True)
class Isolation:
    """A fault and the checks that it is about, which may notice it."""

    name: str
    apply: Callable[[Scene, Worker], Any]
    affected: tuple[str, ...] = ()
    small_store: bool = False

    def possible(self) -> bool:
        """Whether this machine lets it be made."""
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0 and sys.platform == "linux"
        if self.apply is no_threads_left:
            return is_root and PIDS.is_dir()
        return is_root if self.small_store or self.apply is container_with_same_pid else True


FAULTS = (
    Isolation("CA file that hangs", ca_file_hangs, ("tls",)),
    Isolation("slow statement", slow_statement, ("pending_tasks",)),
    Isolation("wedged worker", wedged_worker),
    Isolation("no thread left (pids cgroup)", no_threads_left),
    Isolation("container with the same pid", container_with_same_pid),
    Isolation("heartbeats under 5,000 names", beat_flood),
    Isolation("receivers of alerts that hang", hanging_receivers, ("alerted", "alerted_by_mail")),
    Isolation("store on a full disk", full_disk, small_store=True),
)


@dataclass
class Measured:
    """By check: statuses and median durations, usual and under the fault."""

    fault: Isolation
    near: float = NEAR
    usual: dict[str, tuple[set[str], float]] = field(default_factory=dict)
    under: dict[str, tuple[set[str], float]] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        found = []
        for name, (statuses, duration) in self.under.items():
            if name in self.fault.affected:
                continue
            before, usual = self.usual[name]
            if statuses != before:
                found.append(f"{name}: {'/'.join(sorted(before))} -> {'/'.join(sorted(statuses))}")
            elif abs(duration - usual) > self.near:
                found.append(f"{name}: {usual:.0f} -> {duration:.0f} ms")
        return found

    @property
    def furthest(self) -> float:
        """How far the duration of another check was from its usual one, in milliseconds."""
        others = [name for name in self.under if name not in self.fault.affected]
        return max(abs(self.under[name][1] - self.usual[name][1]) for name in others)


def sweeps(worker: Worker, rounds: int) -> dict[str, tuple[set[str], float]]:
    """The statuses and the median duration of each check in so many fresh sweeps."""
    reports = [worker.evaluate("report()") for _ in range(rounds)]
    return {
        name: (
            {report[name]["status"] for report in reports},
            statistics.median(report[name]["duration_ms"] for report in reports),
        )
        for name in reports[0]
    }


def measure(fault: Isolation, rounds: int = ROUNDS, near: float = NEAR) -> Measured:
    """Have one worker check all before and under the fault."""
    with ExitStack() as undo:
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        store = directory / "store"
        store.mkdir(mode=0o700)
        if fault.small_store:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(store)], check=True)
            undo.callback(lambda: subprocess.run(["umount", "--lazy", str(store)], check=True))
        ca = directory / "ca.pem"
        shutil.copy(certificates().ca, ca)
        postgres = undo.enter_context(Postgres())
        redis = undo.enter_context(Redis())
        receivers = undo.enter_context(HangingReceivers())
        scene = Scene(postgres, redis, directory, store, ca, undo, receivers)
        alerts = receivers.alerts(webhook="alerted", mail="alerted_by_mail")
        worker = scene.worker(alerts=alerts if fault.apply is hanging_receivers else None)
        wait_until(lambda: all(check["status"] == "healthy" for check in worker.evaluate("report()").values()), 30)
        measured = Measured(fault, near, usual=sweeps(worker, rounds))
        with fault.apply(scene, worker):
            measured.under = sweeps(worker, rounds)
        return measured


def main(words: list[str]) -> int:
    accepted = page.ACCEPT in words
    words = [word for word in words if word != page.ACCEPT]
    chosen = [fault for fault in FAULTS if not words or any(word.lower() in fault.name.lower() for word in words)]
    lines: list[str] = []

    def show(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    show("| fault | other checks | furthest from usual, ms | isolation |")
    show("| --- | --- | --- | --- |")
    broken = 0
    for fault in chosen:
        if not fault.possible():
            show(f"| {fault.name} | | | not driven here (needs Linux and root) |")
            continue
        measured = measure(fault)
        broken += bool(measured.broken)
        others = len([name for name in measured.under if name not in fault.affected])
        conclusion = "; ".join(measured.broken) or "kept"
        show(f"| {fault.name} | {others} | {measured.furthest:.1f} | {conclusion} |")
    if accepted:
        page.accept("isolation", "\n".join(lines))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
