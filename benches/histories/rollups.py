"""What writes and reads roll-ups."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benches.histories.show import count_queries, show


def measure_rollups(checks: int) -> None:
    """Write and read what is written and read of roll-ups; the last is a backfill of one check."""
    from django.db import transaction

    from django_lifesigns.history.objectives.state import read_states
    from django_lifesigns.history.objectives.targets import Target
    from django_lifesigns.history.rollups.backfill import backfill
    from django_lifesigns.history.rollups.figures import DURATIONS, FIGURES
    from django_lifesigns.history.rollups.reading import segments, sums
    from django_lifesigns.history.rollups.writer import prune, roll_up
    from django_lifesigns.models import Rollup

    names = [f"check_{number}" for number in range(checks)]

    at, count = time.time(), 0
    zero: dict[str, Any] = dict.fromkeys(FIGURES, 0)

    def write() -> None:
        nonlocal count
        count += 1
        sample: Any = {
            name: {
                **zero,
                "epoch": f"{number:016x}",
                "since": at,
                "at": at + 60.0 * count,
                "depends_on": [],
                "healthy": 60.0 * count,
                "unknown": 0.0,
                "durations": [count, *([0] * (len(DURATIONS) - 1))],
            }
            for number, name in enumerate(names)
        }
        with transaction.atomic():
            roll_up([sample], "default")

    write()
    show("rolling up a minute", write)
    count_queries("rolling up a minute", write)
    now = time.time()
    targets = {name: Target(99.9, 30) for name in names}
    show("all objectives", lambda: read_states(targets, now))
    for days in (30, 90, 400):
        windows = {"all": segments(now - days * 86_400, now, now)}
        show(f"all figures of {days} days", partial(sums, windows, FIGURES))
    recent = Rollup.objects.filter(period="day", start__gte=int(now) - 90 * 86_400)
    strips = recent.values_list("check_name", "start", "error")
    show("the days of 90 days, one by one", lambda: list(strips.all()), strips)
    show("removing what is too old", lambda: prune(now, "default"))
    began = time.perf_counter()
    rolled = backfill("check_0", 60.0)
    seconds = time.perf_counter() - began
    print(
        f"{1000 * seconds:10.1f} ms  backfill of {rolled:,} results of one check: {rolled / seconds:,.0f} a second",
        flush=True,
    )
