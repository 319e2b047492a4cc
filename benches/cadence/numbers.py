"""From what the pods have taken to the numbers that are promised."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from benches.cadence.measure import HOUR, Taken
from benches.cadence.meter import PULSE
from benches.cadence.paused import PAUSE_SECONDS, Paused
from benches.cadence.pods import BARE, DJANGO, IDLE, OURS, OURS_1, OURS_8, PEER, PLAIN, Plan
from benches.comparison.verdict import Number


def numbers(taken: Mapping[str, Taken], sweep: Paused) -> list[Number]:
    """In the order of the table."""
    return [
        *(
            _ratio(taken, ours, theirs, "cpu", key=key, what=what, bound=bound)
            for ours, theirs, key, what, bound in (
                (OURS, PEER, "cadence_over_peer", "CPU per hour, 22 checks / django-health-check's 6", 1 / 10),
                (DJANGO, PEER, "cadence_django_over_peer", "the same, probed through Django", None),
                (OURS, PLAIN, "cadence_over_plain", "CPU per hour, 22 checks / plain Python's 22", None),
                (BARE, PEER, "cadence_bare_over_peer", "CPU per hour, empty views / django-health-check's 6", None),
                (OURS_8, OURS, "cadence_8_over_2", "CPU per hour, 8 workers / 2", 1.3),
            )
        ),
        _ratio(
            taken,
            OURS,
            PEER,
            "servers",
            key="cadence_servers_over_peer",
            what="CPU per hour of the servers that are asked, 22 checks / django-health-check's 6",
        ),
        _ratio(
            taken,
            OURS_8,
            OURS_1,
            "statements",
            key="cadence_queries_8_over_1",
            what="PostgreSQL statements per hour, 8 workers / 1",
            bound=1.1,
        ),
        *_idle(taken[IDLE.key]),
        *_paused(sweep),
    ]


def _ratio(
    taken: Mapping[str, Taken],
    ours: Plan,
    theirs: Plan,
    name: str,
    *,
    key: str,
    what: str,
    bound: float | None = None,
) -> Number:
    one, other = ([getattr(hour, name) for hour in taken[plan.key].hours] for plan in (ours, theirs))
    return Number.ratio(one, other, turns=len(one), key=key, what=what, bound=bound)


def _idle(taken: Taken) -> list[Number]:
    cpu = median(hour.cpu for hour in taken.hours) / HOUR / IDLE.workers * 100
    calls = sum(count for thread, count in taken.calls.items() if thread not in PULSE)
    return [
        Number(key="idle_cpu", what="CPU of an idle worker", value=cpu, unit="%", bound=0.1),
        Number(key="idle_calls", what="system calls of an idle worker", value=calls, unit="/s", bound=5),
    ]


def _paused(sweep: Paused) -> list[Number]:
    what = f"a fresh sweep of 22, {PAUSE_SECONDS} s after the last"
    return [
        Number(key="paused_cpu", what=f"CPU of {what}", value=1000 * median(sweep.cpu), unit="ms"),
        Number(key="paused_calls", what=f"system calls of {what}", value=sweep.calls, unit="", bound=120),
        Number(
            key="store_calls",
            what="those of them that the host store makes",
            value=sweep.store_calls,
            unit="",
            bound=40,
        ),
        Number(
            key="floor_calls",
            what="system calls of the same conversations with nothing around them",
            value=sweep.floor_calls,
            unit="",
        ),
    ]
