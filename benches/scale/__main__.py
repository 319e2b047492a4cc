"""What 1,000 checks, 64 workers, 1,000 instances and 1,000 connections too many cost: `python -m benches.scale`.

It prints a table, and ends with code 1 if a promised number is missed. It takes a release build, and `wrk`.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from benches.compare import PAGE
from benches.comparison.ground import Ground
from benches.comparison.tables import promises, table
from benches.comparison.verdict import Number
from benches.comparison.workers import load
from benches.scale.checks import DELAY, Sweeps, measure, slow_server
from benches.scale.crowd import ALLOWED, REFUSED, p99, refused, served
from tests.fleet.scale import measure_view

BEGIN, END = "<!-- make bench: scale -->", "<!-- end of make bench: scale -->"
MOST = 1_000
TURNS = 5
# Of processes that share a host, each of which requests all 22 checks ten times a second.
WORKERS = (1, 8, 64)
WORKER_SECONDS = 10
INSTANCES = (10, 100, 1_000)


def numbers(curve: dict[int, Sweeps], ready: list[float]) -> list[Number]:
    most = curve[max(curve)]
    what = f"{max(curve):,} HTTP checks with answers after {1000 * DELAY:.0f} ms"
    probe = f"`/ready/` on {ALLOWED} connections, beside {REFUSED:,} that are refused, p99"
    bound = 1000 * (1.3 * DELAY + 0.05)
    return [
        Number(key="scale_wall", what=f"{what}, wall", value=1000 * most.wall, unit="ms", bound=bound),
        Number(key="scale_memory", what=f"{what}, RSS added", value=most.memory / 1e6, unit="MB", bound=40),
        Number(key="crowd_p99", what=probe, value=median(ready), unit="ms", bound=10),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few of each, to see that it works; judges nothing")
    parser.add_argument("--accept", action="store_true", help="have the docs quote this run")
    options = parser.parse_args()
    counts, turns, seconds = ((10, 50), 1, 1) if options.short else ((10, 100, 300, MOST), TURNS, 3)
    with slow_server() as port:
        curve = {count: measure(port, count, turns) for count in counts}
    with served() as port, refused(port):
        ready = [p99(port, seconds) for _ in range(turns)]
    workers, instances = ((1, 2), (10,)) if options.short else (WORKERS, INSTANCES)
    with Ground() as ground:
        loads = {count: load(ground, "host", count, 1 if options.short else WORKER_SECONDS) for count in workers}
    views = {count: measure_view(count) for count in instances}
    found = numbers(curve, ready)
    rows = [
        (f"{count:,}", *(f"{1000 * value:.0f}" for value in (one.first, one.wall, one.cpu)), f"{one.memory / 1e6:.1f}")
        for count, one in curve.items()
    ]
    head = ("HTTP checks", "first sweep ms", "later ones ms", "CPU ms", "RSS added MB")
    shared = table(
        ("workers of a host", "queries/min of all", "CPU s/min of all"),
        [(str(count), f"{load.queries:,.0f}", f"{load.cpu:.2f}") for count, load in loads.items()],
    )
    fleet = table(("instances", "fleet view ms"), [(f"{count:,}", f"{view:.1f}") for count, view in views.items()])
    text = "\n\n".join([promises(found), table(head, rows), shared, fleet])
    print(text)
    if options.short:
        return 0
    if options.accept:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    return 0 if all(number.kept for number in found) else 1


if __name__ == "__main__":
    sys.exit(main())
