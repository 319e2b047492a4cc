"""Lifesigns beside what a user would pick instead, and beside the limit: on real services, in turns, in one run.

`python -m benches.compare` prints tables to standard output and ends with code 1 if a promised number is missed, or,
with `--check`, if a ratio is worse by more than 20 % than in the last accepted run. It takes a release build.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from benches.comparison import scaling, serving, starting, sweeps, verdict, workers
from benches.comparison.ground import Ground
from benches.comparison.numbers import Measured, numbers
from benches.comparison.plot import svg
from benches.comparison.tables import charts, measured, promised, quoted
from benches.probes import Probed, probed

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
PLOT = HERE.parent / "docs" / "cost.svg"
RATIOS = HERE.parent / "target" / "bench" / "ratios.json"

PAGE = HERE.parent / "docs/benchmarks.md"
# Between these two the page quotes the last accepted run.
BEGIN, END = "<!-- make bench -->", "<!-- end of make bench -->"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured of each."""

    sweeps: sweeps.Size
    watched_sweeps: int
    curve: tuple[int, int]
    workers: tuple[int, ...]
    worker_seconds: float
    serving: serving.Size
    probes: Callable[[], Probed]
    starts: int
    wheel: bool


FULL = Plan(
    sweeps=sweeps.Size(rounds=42, block=5),
    watched_sweeps=30,
    curve=(9, 200),
    workers=workers.COUNTS,
    worker_seconds=10,  # ten sweeps: one more or less is no fifth
    serving=serving.Size(seconds=3, turns=4),
    probes=probed,
    starts=15,
    wheel=True,
)
SHORT = Plan(
    sweeps=sweeps.Size(rounds=2, block=1),
    watched_sweeps=2,
    curve=(2, 2),
    workers=(1, 2),
    worker_seconds=0.5,
    serving=serving.Size(seconds=1, turns=1, servers=("gunicorn",)),
    probes=partial(probed, turns=1, seconds=1, occupations=()),
    starts=1,
    wheel=False,
)


def measure(plan: Plan) -> Measured:
    curve = step("number of checks", lambda: scaling.curve(*plan.curve))
    start = step("start", lambda: starting.start(plan.starts))
    wheel = step("wheel", starting.wheel_bytes) if plan.wheel else None
    with Ground() as ground:
        return Measured(
            size=plan.sweeps,
            curve=curve,
            start=start,
            wheel=wheel,
            footprints=step("threads, connections, memory", lambda: sweeps.footprints(ground, plan.watched_sweeps)),
            round_trips=step("round trips", lambda: sweeps.postgres_round_trips(ground, plan.watched_sweeps)),
            direct=step("sweeps", lambda: sweeps.costs(ground, plan.sweeps)),
            delayed=step("sweeps, 1 ms each way", lambda: sweeps.costs(ground, plan.sweeps, delayed=True)),
            workers=step("workers", lambda: workers.loads(ground, plan.workers, plan.worker_seconds)),
            rates=step("gunicorn and uvicorn", lambda: serving.rates(ground, plan.serving)),
            probes=step("probe server", plan.probes),
        )


def step(what: str, work: Callable[[], T]) -> T:
    """Prints the current step to standard error, and how long it took."""
    print(f"{what} ...", end=" ", file=sys.stderr, flush=True)
    began = time.monotonic()
    done = work()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few of each, to see that it works; judges nothing")
    parser.add_argument("--check", action="store_true", help="compare with the last accepted run, not with the bounds")
    parser.add_argument("--accept", action="store_true", help="keep this run: ratios, plot and what the docs quote")
    options = parser.parse_args()
    run = measure(SHORT if options.short else FULL)
    found = numbers(run)
    print(promised(run, found), measured(run), sep="\n\n")
    plot = svg(charts(run))
    if options.short:
        return 0
    verdict.write(RATIOS, found)
    if options.accept:
        verdict.write(BASELINE, found, keep=verdict.read(BASELINE))
        PLOT.write_text(plot)
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{quoted(run, found)}\n{END}{rest.partition(END)[2]}")
    if options.check:
        complaints = verdict.worse(found, verdict.read(BASELINE))
        print("\nWorse than in the last accepted run:" if complaints else "\nNothing is worse than it was.")
    else:
        complaints = [f"{number.what}: {number.value:.3g} {number.unit}" for number in found if not number.kept]
        print("\nMissed:" if complaints else "\nEvery number is kept.")
    print(*(f"- {complaint}" for complaint in complaints), sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
