"""A run as Markdown, which the documentation quotes, and as the curves of its plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from statistics import median

from benches.comparison.numbers import Measured, median_ms
from benches.comparison.plot import Chart
from benches.comparison.sweeps import NAMES, Costs, Footprint, p95
from benches.comparison.verdict import RATIO, Number


def promised(run: Measured, numbers: Sequence[Number]) -> str:
    """The numbers, with their bounds."""
    parts = [
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}; in turns, "
        f"{run.size.rounds * run.size.block} sweeps of each contender.",
        promises(numbers),
    ]
    return "\n\n".join(parts)


def promises(numbers: Sequence[Number]) -> str:
    """Each number with its bound."""
    return table(("what", "measured", "5 to 95 % of the turns", "must be", ""), map(_number, numbers))


def measured(run: Measured) -> str:
    """What they are made of."""
    parts = [
        "Fresh sweeps on loopback:",
        _sweeps(run.direct, run.footprints),
        "The same with 1 ms added to each direction of every connection:",
        _sweeps(run.delayed, {}),
        "Each of the 22 checks alone, ms:",
        table(
            ("check", "loopback", "1 ms each way", "CPU"),
            (
                (name, *(f"{median_ms(one):.2f}" for one in (cost.wall, run.delayed.by_name["limit"][name].wall)), cpu)
                for name, cost in run.direct.by_name["limit"].items()
                for cpu in [f"{median_ms(cost.cpu):.2f}"]
            ),
        ),
        "Behind gunicorn (2 sync workers) and uvicorn (1 process), 16 connections at once:",
        _http(run),
        "By the number of checks, each of which costs nothing (µs of wall time, of CPU):",
        _curve(run),
        "By the number of workers that request all 22 checks ten times a second, of which each is fresh for 1 s:",
        _workers(run),
    ]
    return "\n\n".join(parts)


def quoted(run: Measured, numbers: Sequence[Number]) -> str:
    """As the documentation shows it."""
    details = f"<details markdown>\n<summary>All figures of that run</summary>\n\n{measured(run)}\n\n</details>"
    return f"{promised(run, numbers)}\n\n![Cost curves](cost.svg)\n\n{details}"


def charts(run: Measured) -> list[Chart]:
    """The cost curves."""
    by_checks = {
        kind: {count: 1e6 * median(turn.wall for turn in turns) for count, turns in by.items()}
        for kind, by in run.curve.items()
    }
    by_workers = {
        {"process": "each for itself", "host": "sharing (host)"}[share]: {
            count: load.queries for count, load in loads.items()
        }
        for share, loads in run.workers.items()
    }
    return [
        Chart("A fresh sweep by number of checks", "checks", "µs", by_checks),
        Chart("Load by number of workers", "workers", "dependency queries a minute", by_workers),
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(number: Number) -> tuple[str, ...]:
    unit = {RATIO: " x", "": ""}.get(number.unit, f" {number.unit}")
    low_high = "" if number.low is None or number.high is None else f"{number.low:.3g} to {number.high:.3g}"
    if number.bound is None:
        return number.what, f"{number.value:.3g}{unit}", low_high, "", ""
    sign = ">=" if number.more_is_better else "<="
    bound = f"{sign} {number.bound:.3g}{unit}"
    return number.what, f"{number.value:.3g}{unit}", low_high, bound, "kept" if number.kept else "**missed**"


def _sweeps(costs: Costs, footprints: dict[str, Footprint]) -> str:
    head = ["contender", "wall ms", "p95", "CPU ms", "p95", "CPU of the servers ms", "both CPUs / cores"]
    head += ["threads", "connections (kept)", "RSS MB"] if footprints else []
    rows = []
    check, slowest = costs.slowest()
    for name, label in NAMES.items():
        if name == "limit":
            cost = slowest
            label, cells = f"the slowest single check: {check}", ["", ""]
        else:
            cost = costs.sweep(name)
            cells = [f"{1000 * seconds:.1f}" for seconds in (costs.servers[name], costs.cpus_over_cores(name))]
        if (foot := footprints.get(name)) is not None:
            kept = f"{foot.connections} ({foot.connections_kept})"
            cells += [f"{foot.threads}", kept, f"{foot.memory / 1e6:.1f}"]
        elif footprints:
            cells += ["", "", ""]
        times = [f"{1000 * value:.2f}" for one in (cost.wall, cost.cpu) for value in (median(one), p95(one))]
        rows.append([label, *times, *cells])
    times = [f"{1000 * value:.2f}" for value in (median(costs.apart), p95(costs.apart))]
    rows.append([f"{check}, while the other 21 run in another process", *times, *[""] * (len(head) - 3)])
    return table(head, rows)


def _http(run: Measured) -> str:
    head = ["page", *(f"{server} {what}" for server in run.rates for what in ("requests/s", "p99 ms"))]
    pages = next(iter(run.rates.values()))
    rows = []
    for page in pages:
        rates = [by_page[page] for by_page in run.rates.values()]
        rows.append([page, *(text for rate in rates for text in (f"{rate.median:,.0f}", f"{median(rate.p99):.1f}"))])
    return table(head, rows)


def _curve(run: Measured) -> str:
    counts = list(next(iter(run.curve.values())))
    rows = [
        [kind, *(", ".join(f"{1e6 * median(one):,.0f}" for one in zip(*by[count], strict=True)) for count in counts)]
        for kind, by in run.curve.items()
    ]
    return table(["checks", *(f"{count:,}" for count in counts)], rows)


def _workers(run: Measured) -> str:
    head = ["workers", *(f"{what}, {share}" for share in run.workers for what in ("queries/min", "CPU s/min"))]
    rows = [
        [
            str(count),
            *(
                text
                for by_count in run.workers.values()
                for text in (f"{by_count[count].queries:,.0f}", f"{by_count[count].cpu:.2f}")
            ),
        ]
        for count in run.workers["host"]
    ]
    return table(head, rows)
