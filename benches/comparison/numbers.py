"""From what was measured to the numbers that are promised."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benches.comparison.scaling import CALLABLES, NATIVE, POOL, Curve
from benches.comparison.serving import ALIVE, BODY, EMPTY, READY, Rates
from benches.comparison.starting import Start
from benches.comparison.sweeps import Costs, Footprint, Size
from benches.comparison.verdict import Number
from benches.comparison.workers import Load
from benches.probes import Probed

MEGABYTE = 1e6
HTTP = {
    "fresh_over_peer": ("Lifesigns, 22 checks, fresh", "django-health-check 4.8, 6 checks, fresh"),
    "fresh_over_plain": ("Lifesigns, 22 checks, fresh", "plain Python, 22 checks, fresh"),
    "cached_over_plain": ("Lifesigns, 22 checks, cached", "plain Python, 22 checks, kept for 30 s"),
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All of one run; `wheel` in bytes, None where it was not built."""

    size: Size
    direct: Costs
    delayed: Costs
    footprints: dict[str, Footprint]
    round_trips: float
    curve: Curve
    workers: dict[str, dict[int, Load]]
    rates: Rates
    probes: Probed
    start: Start
    wheel: int | None


def numbers(run: Measured) -> list[Number]:
    """In the order of the table."""
    return [
        *_sweeps(run),
        *_overhead(run.curve),
        *_http(run.rates),
        *run.probes.numbers(),
        *_starting(run),
        *_workers(run),
    ]


def _sweeps(run: Measured) -> list[Number]:
    found = []
    turns = run.size.rounds
    for costs, prefix, where in (
        (run.direct, "wall", "fresh sweep of 22, loopback, wall"),
        (run.delayed, "delayed", "the same, 1 ms each way"),
    ):
        ours = costs.sweep("lifesigns").wall
        check, slowest = costs.slowest()
        others = {
            "slowest": (f"the slowest single check ({check})", slowest.wall),
            "peer": ("django-health-check's 6 checks", costs.sweep("django_health_check").wall),
            "plain": ("plain Python's 22", costs.sweep("plain").wall),
        }
        for key, (what, theirs) in others.items():
            named = {"key": f"{prefix}_over_{key}", "what": f"{where} / {what}"}
            found.append(Number.ratio(ours, theirs, turns=turns, **named))
            if prefix == "wall":
                value = costs.cpus_over_cores("floor") / median(theirs)
                found.append(Number(key=f"floor_over_{key}", what=f"the floor, on all cores / {what}", value=value))
        named = {"key": f"{prefix}_apart", "what": f"{check} while the other 21 run in another process / alone"}
        found.append(Number.ratio(costs.apart, slowest.wall, turns=turns, **named))
    ours, floor = (run.direct.sweep(name).cpu for name in ("lifesigns", "floor"))
    for key, name, what in (
        ("peer", "django_health_check", "django-health-check's 6 checks"),
        ("plain", "plain", "plain Python's 22"),
    ):
        theirs = run.direct.sweep(name).cpu
        named = {"key": f"cpu_over_{key}", "what": f"CPU of a fresh sweep of 22 / {what}"}
        found.append(Number.ratio(ours, theirs, turns=turns, **named))
        named = {"key": f"cpu_floor_over_{key}", "what": f"CPU of the floor / {what}"}
        found.append(Number.ratio(floor, theirs, turns=turns, **named))
    return found


def _overhead(curve: Curve) -> list[Number]:
    wall = {kind: {count: [turn.wall for turn in turns] for count, turns in by.items()} for kind, by in curve.items()}
    pool = wall[POOL][22]
    return [
        Number.ratio(ours, theirs, turns=len(theirs), key=key, what=what, bound=bound)
        for key, what, ours, theirs, bound in (
            # Without a bound: what a check that does nothing costs is no measure of one that does something.
            ("callables_over_pool", "22 no-op Python callables / a reused pool", wall[CALLABLES][22], pool, None),
            ("native_over_pool", "22 native no-ops / a reused pool", wall[NATIVE][22], pool, None),
            ("thousand_over_22", "1,000 native no-ops / 22", wall[NATIVE][1000], wall[NATIVE][22], 50.0),
        )
    ]


def _http(rates: Rates) -> list[Number]:
    found = []
    for server, by_page in rates.items():
        for key, what, ours, theirs, bound in (
            ("ready_over_empty", "cached `/ready/` / an empty Django view", READY, EMPTY, 1.0),
            ("ready_over_body", "cached `/ready/` / one with a body as long", READY, BODY, None),
            ("alive_over_empty", "`/alive/` / an empty Django view", ALIVE, EMPTY, 1.0),
        ):
            ratio = Number.ratio(
                by_page[ours].per_second,
                by_page[theirs].per_second,
                turns=len(by_page[ours].per_second),
                key=f"{server}_{key}",
                what=f"{what}, {server}",
                bound=bound,
                more_is_better=True,
            )
            found.append(ratio)
        for key, (ours, theirs) in HTTP.items():
            value = by_page[ours].median / by_page[theirs].median
            what = f"requests/s, {ours} / {theirs}, {server}"
            found.append(Number(key=f"{server}_{key}", what=what, value=value, more_is_better=True))
    return found


def _starting(run: Measured) -> list[Number]:
    start, memory = run.start, run.footprints["lifesigns"].memory / MEGABYTE
    found = [
        Number(key="import", what="`import lifesigns`", value=start.imported, unit="ms", bound=5),
        Number(key="setup", what="`django_lifesigns` adds to `django.setup()`", value=start.setup, unit="ms", bound=30),
        Number(key="memory", what="RSS added after the first sweep of 22", value=memory, unit="MB", bound=10),
        Number(
            key="round_trips",
            what="PostgreSQL round trips of a sweep, warm connection",
            value=run.round_trips,
            unit="",
        ),
    ]
    if run.wheel is not None:
        found.append(Number(key="wheel", what="wheel", value=run.wheel / MEGABYTE, unit="MB", bound=4))
    return found


def _workers(run: Measured) -> list[Number]:
    found = []
    most = max(run.workers["host"])
    for key, what in (("queries", "dependency queries"), ("cpu", "CPU")):
        one, many = (getattr(run.workers["host"][count], key) for count in (1, most))
        found.append(
            Number(key=f"host_{key}_over_one", what=f"{what}, {most} workers that share a host / 1", value=many / one)
        )
    return found


def median_ms(seconds: list[float]) -> float:
    return 1000 * median(seconds)
