"""The lengths of time that roll-ups are of, and for how long each is kept."""

from __future__ import annotations

from dataclasses import dataclass

# Of a source: its totals until now, from which the next ones are subtracted.
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Period:
    """Times in seconds. A period starts at a multiple of its length since 1970: days and hours are those of UTC.

    All that are in one longer period, of `whole` seconds, are kept as long as its last one.
    """

    name: str
    seconds: int
    kept: int
    whole: int

    def start(self, at: float) -> int:
        """Return the start of the period in which a time is."""
        return int(at // self.seconds) * self.seconds

    def kept_since(self, now: float) -> int:
        """Return the start of the oldest that is kept."""
        return int((now - self.kept) // self.whole) * self.whole


MINUTE = Period("minute", 60, 26 * 3_600, 3_600)
HOUR = Period("hour", 3_600, 35 * 86_400, 86_400)
DAY = Period("day", 86_400, 400 * 86_400, 86_400)
PERIODS = (MINUTE, HOUR, DAY)


def finest(at: float, now: float) -> Period:
    """Return the shortest period of which there are still roll-ups of a time that long ago."""
    return next((period for period in PERIODS if at >= period.kept_since(now)), DAY)
