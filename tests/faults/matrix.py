"""Drives the whole matrix and prints it as a Markdown table; exit code 1 if a bound is broken. `make faults` runs it.

Arguments, if any, are words: only cells in whose name one of them is. `--accept` puts the table into the documentation,
or the rows of these cells into the table that is there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator

from tests.faults import names, page
from tests.faults.cells import CELLS, Cell
from tests.faults.measure import BOUNDS, REDIS_SPARE, Row, measure
from tests.faults.system import running

HEADER = (
    "fault",
    "dependency",
    "`/ready/` s",
    "`/health/` s",
    "another check, ms",
    "threads",
    "connections",
    "on the server",
    "the checks say",
    "healed after s",
    "bounds",
)


def main(words: list[str]) -> int:
    accepted = page.ACCEPT in words
    words = [word for word in words if word != page.ACCEPT]
    chosen = [cell for cell in CELLS if not words or any(word.lower() in str(cell).lower() for word in words)]
    rows, left_out = [], []
    started = time.monotonic()
    for gates, alerts in ((False, False), (True, False), (False, True)):
        cells = [cell for cell in chosen if (cell.fault.gates, cell.fault.alerts) == (gates, alerts)]
        if gates and not names.possible():
            left_out += [cell for cell in cells if cell.fault.names]
            cells = [cell for cell in cells if not cell.fault.names]
        for row in drive(cells, gates=gates, alerts=alerts):
            rows.append(row)
            print(
                f"[{len(rows)}/{len(chosen)}] {row.cell}: {'; '.join(row.broken) or 'ok'}", file=sys.stderr, flush=True
            )
    print(table(rows))
    for cell in left_out:
        print(f"Not driven here (needs Linux and root): {cell}")
    broken = sum(bool(row.broken) for row in rows)
    print(f"\n{time.monotonic() - started:.0f} s on {os.cpu_count()} cores")
    summary = (
        f"{len(rows)} cells; {broken} broke a bound. "
        f"Bounds: /ready/ {BOUNDS.ready} s, /health/ {BOUNDS.health} s, another check's median within "
        f"{BOUNDS.unaffected * 1000:.0f} ms of its usual one, healed without a restart, threads and connections back "
        f"(Django's Redis caches: up to {REDIS_SPARE} more until Python's garbage collector comes by)."
    )
    print(summary)
    if accepted and words:
        page.accept_rows("matrix", [cells_of(row) for row in rows])
    elif accepted:
        page.accept("matrix", f"{summary}\n\n{table(rows)}")
    return 1 if broken else 0


def drive(cells: list[Cell], *, gates: bool, alerts: bool) -> Iterator[Row]:
    """Measure the cells on one system, which lives through all of them."""
    if not cells:
        return
    with running(gates=gates, alerts=alerts) as system:
        for cell in cells:
            # The heartbeat of the worker that `task_workers` counts is good for five minutes.
            system.dependencies.stack.postgres.heartbeat()
            yield measure(system, cell)


def table(rows: Iterable[Row]) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *(cells_of(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells_of(row: Row) -> tuple[str, ...]:
    loads = (row.before, row.during, row.after)
    fault = row.cell.fault
    return (
        fault.name + (f" ({fault.note})" if fault.note else ""),
        row.cell.on,
        f"{row.ready:.2f}",
        f"{row.health:.2f}",
        f"{row.usual * 1000:.0f} → {row.unaffected * 1000:.0f}",
        " → ".join(str(load.threads) for load in loads),
        " → ".join(str(load.connections) for load in loads),
        " → ".join(str(load.on_server) for load in loads),
        row.seen,
        "never" if row.healed is None else f"{row.healed:.1f}",
        "; ".join(row.broken) or page.KEPT,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
