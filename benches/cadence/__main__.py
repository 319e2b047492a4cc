"""What an hour at the cadence of production costs, in five minutes of real time: `python -m benches.cadence`.

Each contender is gunicorn with its workers, beside services of its own; kubelet asks `/ready/` every 2 s and `/alive/`
every 10 s, a load balancer `/ready/` every second, Prometheus `/metrics/` every 15 s; history is recorded. All run at
the same time, so that what else happens on the machine concerns all; CPU time is that of their processes.

It prints tables, and ends with code 1 if a promised number is missed. It takes a release build, and `strace`.
"""

from __future__ import annotations

import argparse
import sys

from benches.cadence.measure import FULL, SHORT, measure
from benches.cadence.numbers import numbers
from benches.cadence.paused import paused
from benches.cadence.pods import PLANS
from benches.cadence.report import taken_per_hour
from benches.compare import BASELINE, PAGE
from benches.comparison import verdict
from benches.comparison.ground import Ground
from benches.comparison.tables import promises

BEGIN, END = "<!-- make bench: cadence -->", "<!-- end of make bench: cadence -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="under a minute, to see that it works; judges nothing")
    parser.add_argument("--accept", action="store_true", help="keep this run: ratios, and what the docs quote")
    options = parser.parse_args()
    size = SHORT if options.short else FULL
    with Ground() as ground:
        sweep = paused(ground, size.turns)
    taken = measure(PLANS, size)
    failures = [f"{key}: {found.failures} answers were no 200" for key, found in taken.items() if found.failures]
    found = numbers(taken, sweep)
    text = f"{promises(found)}\n\n{taken_per_hour(taken)}"
    print(text)
    for key, pod in taken.items():
        threads = sorted(pod.calls.items(), key=lambda item: -item[1])
        print(f"{key}: {', '.join(f'{name} {count:.1f}/s' for name, count in threads)}", file=sys.stderr)
    print(*failures, sep="\n", file=sys.stderr)
    if options.short:
        return 1 if failures else 0
    if options.accept:
        verdict.write(BASELINE, found, keep=verdict.read(BASELINE))
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    return 1 if failures or any(not number.kept for number in found) else 0


if __name__ == "__main__":
    sys.exit(main())
