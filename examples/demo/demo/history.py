"""A history for the demo, made up: its dashboard would be empty for a day."""

from __future__ import annotations

import random
import time

DAYS = 90
DAY, HOUR = 86_400, 3_600


def make_up() -> None:
    """Save 90 days of each check, unless there are some: a check was ill on few days, and unknown on the first ones."""
    from django_lifesigns.models import Rollup
    from django_lifesigns.runtime.engine import get_engine

    today, rows = int(time.time()) // DAY * DAY, []
    if Rollup.objects.filter(period="day", start__lt=today).exists():
        return
    for name in get_engine().names:
        # The same each time.
        chance = random.Random(name)
        for number in range(chance.randrange(60, DAYS), 0, -1):
            bad = chance.choice([60, 300, 1_800, 7_200]) if chance.random() < 0.04 else 0
            degraded = 900 if chance.random() < 0.05 else 0
            maintenance = HOUR if number % 28 == 0 else 0
            start = today - number * DAY
            rows.append(
                Rollup(
                    check_name=name,
                    period="day",
                    start=start,
                    until=start + DAY,
                    covered=DAY,
                    healthy=DAY - bad - degraded - maintenance,
                    error=bad,
                    degraded=degraded,
                    maintenance=maintenance,
                    healthy_runs=2_880,
                    **{f"duration_{chance.randrange(2, 6)}": 2_880},
                )
            )
    Rollup.objects.bulk_create(rows, batch_size=500)
