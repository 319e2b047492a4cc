"""One cell measured: what the probes answer, how soon, and what they cost, before, during and after the fault."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.faults.cells import Cell
from tests.faults.load import Load, most_of
from tests.faults.system import TIMEOUT, Answer, System
from tests.services import wait_until

ROUNDS = 2
UNAFFECTED_AT_LEAST = 9
HEAL_SECONDS = 15.0
BACK_SECONDS = 5.0
# The pause between two requests for the unaffected check, as long as a fast probe would make it.
PAUSE_SECONDS = 0.05

READY_BOUND = 0.85
HEALTH_BOUND = TIMEOUT + 0.1
UNAFFECTED_BOUND = 0.05


@dataclass
class Row:
    """Seconds, and how many threads and connections there were at most."""

    cell: Cell
    ready: float = 0.0
    health: float = 0.0
    usual: float = 0.0
    unaffected: float = 0.0
    seen: str = ""
    before: Load = field(default_factory=lambda: Load(0, 0, 0))
    during: Load = field(default_factory=lambda: Load(0, 0, 0))
    after: Load = field(default_factory=lambda: Load(0, 0, 0))
    healed: float | None = None
    same_worker: bool = True
    broken: list[str] = field(default_factory=list)


def measure(system: System, cell: Cell, heal_seconds: float = HEAL_SECONDS) -> Row:
    """Drive the cell; whatever broke a bound is named in `Row.broken`."""
    row = Row(cell)
    dependency = system.dependencies.by_name.get(cell.on)
    affected = cell.fault.checks or (dependency.checks if dependency else ("callable",))
    must_tell = cell.fault.checks or (dependency.native if dependency else ("callable",))
    other = f"/health/{dependency.unaffected if dependency else 'database_connectivity'}/"
    applied = dependency or system.dependencies.by_name["PostgreSQL"]
    loads, usual = system.loads, system.usual[applied.port]

    with loads.sampled(applied.port) as most:
        row.usual = statistics.median(one.seconds for one in _load(system, other)[1])
    row.before = most.load

    with loads.sampled(applied.port) as most, cell.fault.apply(system, applied):
        (readies, healths), others = _load(system, other)
    row.during = most.load
    row.ready = max(one.seconds for one in readies)
    row.health = max(one.seconds for one in healths)
    row.unaffected = statistics.median(one.seconds for one in others)
    row.seen = _seen(healths, affected)

    lifted = time.monotonic()
    row.healed = _waited(lambda: not system.ill().keys() & set(affected) and ready(system), lifted, heal_seconds)
    _waited(lambda: _is_back(loads.now(applied.port), usual), time.monotonic(), BACK_SECONDS)
    row.after = loads.now(applied.port)
    row.same_worker = system.same_worker()
    row.broken = list(_broken(row, usual, must_tell, healths, others))
    return row


def ready(system: System) -> bool:
    return system.ask("/ready/").status == 200


def _load(system: System, other: str) -> tuple[tuple[list[Answer], list[Answer]], list[Answer]]:
    """`/ready/` and `/health/` in turn, meanwhile the other check over and over."""
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(_probe, system)
        others: list[Answer] = []
        while not probing.done() or len(others) < UNAFFECTED_AT_LEAST:
            others.append(system.ask(other))
            time.sleep(PAUSE_SECONDS)
        return probing.result(), others


def _probe(system: System) -> tuple[list[Answer], list[Answer]]:
    readies, healths = [], []
    for _ in range(ROUNDS):
        readies.append(system.ask("/ready/"))
        healths += [system.ask("/health/"), system.ask("/health/")]  # the first may join what `/ready/` began
    return readies, healths


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


def _is_back(now: Load, usual: Load) -> bool:
    """Not more than what the system had when it was busy and well, before the first fault."""
    return most_of(now, usual) == usual


def _broken(
    row: Row, usual: Load, must_tell: tuple[str, ...], healths: list[Answer], others: list[Answer]
) -> Iterator[str]:
    fault = row.cell.fault
    if row.ready > READY_BOUND + fault.held:
        yield f"/ready/ after {row.ready:.2f} s"
    if row.health > HEALTH_BOUND + fault.held:
        yield f"/health/ after {row.health:.2f} s"
    if row.unaffected - row.usual > UNAFFECTED_BOUND:
        yield f"the unaffected check took {(row.unaffected - row.usual) * 1000:.0f} ms longer"
    if any(answer.body["status"] != "healthy" for answer in others):
        yield "the unaffected check was not healthy"
    if row.healed is None:
        yield "did not heal"
    if not row.same_worker:
        yield "the worker was replaced"
    if not _is_back(row.after, usual):
        yield f"not back: {row.after}, usual are {usual}"
    for name in must_tell:
        statuses = {answer.body["checks"][name]["status"] for answer in healths}
        if fault.tells and "healthy" in statuses and len(statuses) == 1:
            yield f"{name} did not notice"
        if not fault.tells and statuses != {"healthy"}:
            yield f"{name} raised a false alarm"
