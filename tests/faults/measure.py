"""One cell measured: what the probes answer, how soon, and what they cost, before, during and after the fault."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.faults import commands
from tests.faults.cells import Cell
from tests.faults.load import NONE, Load
from tests.faults.system import TIMEOUT, Answer, System
from tests.services import wait_until

AT_LEAST = 9
HEAL_SECONDS = 15.0
BACK_SECONDS = 5.0
PAUSE_SECONDS = 0.05


# Django's Redis cache has a connection for each alias and thread. Those of a thread that ended (`sys.exit`), and those
# that Redis ended, stay until Python's garbage collector comes by. Those of the engine are counted on the servers.
REDIS_SPARE = 12


@dataclass(frozen=True)
class Bounds:
    """Seconds, and how many more threads than usual there may be in the end.

    And how many more sessions of PostgreSQL: statements that were slow, which a busy machine makes them, have sessions
    apart from the others for a minute.
    """

    ready: float = 0.85
    health: float = TIMEOUT + 0.1
    unaffected: float = 0.05
    threads: int = 0
    sessions: int = 0


BOUNDS = Bounds()


@dataclass
class Row:
    """Seconds, and how many threads and connections there were at most."""

    cell: Cell
    ready: float = 0.0
    health: float = 0.0
    usual: float = 0.0
    unaffected: float = 0.0
    seen: str = ""
    before: Load = NONE
    during: Load = NONE
    after: Load = NONE
    connections: dict[str, int] = field(default_factory=dict)
    healed: float | None = None
    same_worker: bool = True
    broken: list[str] = field(default_factory=list)


def measure(system: System, cell: Cell, bounds: Bounds = BOUNDS, rounds: int = 2) -> Row:
    """Drive the cell; whatever broke a bound is named in `Row.broken`."""
    row = Row(cell)
    dependency = system.dependencies.by_name.get(cell.on)
    affected = cell.fault.checks or (dependency.checks if dependency else (cell.on,))
    noticing = dependency.noticing if dependency and cell.fault.is_noticed else ()
    must_notice = cell.fault.checks or ((*dependency.native, *noticing) if dependency else (cell.on,))
    other = f"/health/{dependency.unaffected if dependency else 'database_connectivity'}/"
    applied = dependency or system.dependencies.by_name["PostgreSQL"]
    loads, port = system.loads, applied.port
    spare = {"PostgreSQL": bounds.sessions, "Redis": REDIS_SPARE}.get(applied.name, 0)
    allowed = system.usual[port].plus(
        threads=bounds.threads, connections=REDIS_SPARE + bounds.sessions, on_server=spare
    )

    with loads.sampled(port) as most:
        row.usual = statistics.median(one.seconds for one in _load(system, other, 1)[2])
    row.before = most[port]

    with loads.sampled(port) as most, cell.fault.apply(system.project, applied):
        readies, healths, others = _load(system, other, rounds)
    row.during = most[port]
    row.ready = max(one.seconds for one in readies)
    row.health = max(one.seconds for one in healths)
    row.unaffected = statistics.median(one.seconds for one in others)
    row.seen = _seen(healths, affected)

    lifted = time.monotonic()
    row.healed = _waited(lambda: not system.ill().keys() & set(affected) and ready(system), lifted, HEAL_SECONDS)
    _waited(lambda: loads.now(port)[port].within(allowed), time.monotonic(), BACK_SECONDS)
    row.after = loads.now(port)[port]
    row.connections = system.connections()
    row.same_worker = system.same_worker()
    programs_ended = _waited(lambda: not commands.processes_of(system.project.program), time.monotonic(), BACK_SECONDS)
    if programs_ended is None:
        row.broken.append("a program was left behind")
    row.broken += list(_broken(row, bounds, allowed, must_notice, healths, others))
    return row


def ready(system: System) -> bool:
    return system.fetch("/ready/").status == 200


def _load(system: System, other: str, rounds: int) -> tuple[list[Answer], list[Answer], list[Answer]]:
    """`/health/` twice in each round; meanwhile `/ready/` and the other check over and over."""

    def over_and_over(path: str) -> list[Answer]:
        answers: list[Answer] = []
        while not done.is_set() or len(answers) < AT_LEAST:
            answers.append(system.fetch(path))
            time.sleep(PAUSE_SECONDS)
        return answers

    done = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        readies, others = pool.submit(over_and_over, "/ready/"), pool.submit(over_and_over, other)
        try:
            healths = [system.fetch("/health/") for _ in range(2 * rounds)]
        finally:
            done.set()
        return readies.result(), healths, others.result()


def _seen(healths: list[Answer], checks: Iterable[str]) -> str:
    """What the affected checks said, each word once, in the order in which they came."""
    words: dict[str, None] = {}
    for answer in healths:
        for name in checks:
            one = answer.body["checks"][name]
            words[one.get("error_type", one["status"])] = None
    return ", ".join(words)


def _waited(condition: Callable[[], bool], since: float, seconds: float) -> float | None:
    try:
        wait_until(condition, seconds)
    except TimeoutError:
        return None
    return time.monotonic() - since


def _broken(
    row: Row, bounds: Bounds, allowed: Load, must_notice: tuple[str, ...], healths: list[Answer], others: list[Answer]
) -> Iterator[str]:
    fault = row.cell.fault
    if row.ready > bounds.ready + fault.held:
        yield f"/ready/ after {row.ready:.2f} s"
    if row.health > bounds.health + fault.held:
        yield f"/health/ after {row.health:.2f} s"
    if row.unaffected - row.usual > bounds.unaffected:
        yield f"the unaffected check took {(row.unaffected - row.usual) * 1000:.0f} ms longer"
    if any(answer.body["status"] != "healthy" for answer in others):
        yield "the unaffected check was not healthy"
    if row.healed is None:
        yield "did not heal"
    if not row.same_worker:
        yield "the worker was replaced"
    if not row.after.within(allowed):
        yield f"not back: {row.after}, allowed are {allowed}; {row.connections}"
    for name in must_notice:
        statuses = {answer.body["checks"][name]["status"] for answer in healths}
        if fault.is_noticed and "healthy" in statuses and len(statuses) == 1:
            yield f"{name} did not notice"
        if not fault.is_noticed and statuses != {"healthy"}:
            yield f"{name} raised a false alarm"
