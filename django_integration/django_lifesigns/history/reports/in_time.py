"""What a report says of time, in place of results: availability, objectives, incidents, percentiles of all runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from django_lifesigns.checks.timezones import utc
from django_lifesigns.history.log_every import log_every
from django_lifesigns.history.objectives.current import states
from django_lifesigns.history.objectives.state import ObjectiveState
from django_lifesigns.history.reports.collect import CheckFigures, History
from django_lifesigns.history.reports.durations import Durations
from django_lifesigns.history.reports.incidents import Incident, incidents
from django_lifesigns.history.rollups.figures import COVERED, DURATIONS, FIGURES, RUNS, SECONDS, STATUSES, sources
from django_lifesigns.history.rollups.reading import segments, sums
from lifesigns import Engine
from lifesigns.results import DURATION_BOUNDS


@dataclass(frozen=True, slots=True)
class TimeFigures:
    """The roll-ups of one check, added up, and the seconds of the report's time."""

    figures: Mapping[str, float]
    seconds: float

    @property
    def known(self) -> float:
        """Seconds, of all sources together."""
        return sum(self.figures[status] for status in STATUSES)

    @property
    def availability(self) -> float | None:
        """The share of the known time that was not in error; degraded is available."""
        return 1 - self.figures["error"] / self.known if self.known else None

    @property
    def coverage(self) -> float:
        """The share of the time of which something is known, or that was planned maintenance or blocked."""
        return min(1.0, self.figures[COVERED] / self.seconds) if self.seconds else 0.0

    def mean(self, name: str) -> float:
        """Return the seconds spent so, in the mean over the sources: two hosts that know the same hour know one."""
        return self.figures[name] / sources(self.figures, self.seconds)

    @property
    def runs(self) -> int:
        return int(sum(self.figures[name] for name in RUNS))

    @property
    def durations(self) -> Durations:
        """The durations of all runs, as exact as the buckets of the metrics are."""
        found = Durations()
        bounds = [0.0, *(1000 * bound for bound in DURATION_BOUNDS)]
        for number, name in enumerate(DURATIONS):
            if self.figures[name]:
                longest = bounds[min(number + 1, len(bounds) - 1)]
                found.add(number, int(self.figures[name]), bounds[number], longest)
        return found


@dataclass(slots=True)
class Report:
    """All that a report contains."""

    history: History
    times: Mapping[str, TimeFigures] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    objectives: Mapping[str, ObjectiveState] = field(default_factory=dict)

    @property
    def checks(self) -> dict[str, CheckFigures]:
        """The results of each check, also where these are not kept any more."""
        return {
            name: self.history.checks.get(name, CheckFigures()) for name in sorted({*self.history.checks, *self.times})
        }

    def durations(self, name: str) -> Durations:
        """Return the durations of the results, or of all runs where fewer results are kept."""
        check, time = self.checks[name], self.times.get(name)
        return time.durations if time and time.runs > check.results else check.durations


def complete(history: History, engine: Engine, max_stale: float) -> Report:
    """Return the report on a history: with what the roll-ups, the log and the objectives say of its time."""
    now, since, until = (utc(at).timestamp() for at in (timezone.now(), history.since, history.until))
    found = sums({"all": segments(since, until, now)}, FIGURES)
    seconds = until - since
    counted = engine.counters()
    parents = {name: counters["depends_on"] for name, counters in counted.items()}

    def hold(check: str) -> timedelta:
        own = counted.get(check)
        return timedelta(seconds=log_every() + (own["holds_for"] if own else max_stale))

    return Report(
        history,
        # Skipped ones have nothing but durations.
        {
            name: TimeFigures(windows["all"], seconds)
            for name, windows in found.items()
            if any(windows["all"][figure] for figure in (*SECONDS, *RUNS))
        },
        incidents(history.since, history.until, hold, parents),
        {state.check: state for state in states()},
    )
