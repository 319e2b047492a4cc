"""Rolls up what the engine counts, about once a minute, in the transaction in which results are recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from weakref import ReferenceType, ref

from django.db import transaction
from django.db.models import Q

from django_lifesigns.history.rollups.allot import Cursor, Increments, Key, allot, totals
from django_lifesigns.history.rollups.figures import FIGURES
from django_lifesigns.history.rollups.maintenance import windows
from django_lifesigns.history.rollups.periods import HOUR, PERIODS, TOTAL
from django_lifesigns.history.rollups.reading import raw_rows
from django_lifesigns.history.rollups.samples import Sample, Samples
from django_lifesigns.history.rollups.upsert import add
from lifesigns import Engine

logger = logging.getLogger("django_lifesigns")

# As what processes that share claim the next turn.
NAME = "lifesigns.rollups"
# Less than two turns of the process that records, which may be a little early.
ROLL_SECONDS = 55.0
RETRY_SECONDS = 15.0
# Reading the counters more often would make the minutes no better.
SAMPLE_SECONDS = 5.0
# The same in a process that takes turns only once another one has ended.
SPARE_SAMPLE_SECONDS = 30.0
# A source that was first seen so long after it started counting is rolled up from its start.
START_SECONDS = 300.0
# Sources that have not counted for so long are forgotten.
SOURCES_KEPT = 2 * 86_400.0
# Rows that are no source's: since when a check is rolled up, and until when its log is.
LIVE, LOG = "live", "log"


class RollupWriter:
    """What this process has sampled, and whether it is its turn to roll that up."""

    def __init__(self) -> None:
        self._samples = Samples()
        self._due_at = 0.0
        self._sampled_at = 0.0
        self._prune_at: float | None = None
        self._engine: ReferenceType[Engine] | None = None
        self._refused = False
        # For the thread that writes.
        self.is_pending = False
        self.has_rolled = False
        self._prunes = False

    @property
    def engine(self) -> Engine | None:
        """The engine whose counters are rolled up."""
        return self._engine() if self._engine else None

    def sample(self, engine: Engine, *, take_turn: bool = True) -> None:
        """Take a sample of what the engine has counted and, if it is this process's turn, have it rolled up."""
        if self.engine is not engine:
            self._engine = ref(engine)
        now = time.monotonic()
        is_due = take_turn and now >= self._due_at
        pause = SAMPLE_SECONDS if take_turn else SPARE_SAMPLE_SECONDS
        if not is_due and now < self._sampled_at + pause:
            return
        self._sampled_at = now
        self._samples.add(engine.counters())
        if not is_due:
            return
        if engine.claim_record(NAME, time.time(), gap=ROLL_SECONDS * 0.9):
            self._due_at = now + ROLL_SECONDS
            self._prunes = self._is_time_to_prune(engine, now)
            self.is_pending = True
        else:  # another process has done so
            self._due_at = now + min(SAMPLE_SECONDS, ROLL_SECONDS)

    def finish(self) -> None:
        """Have what is counted by now rolled up, also in the turn of another process: this one ends."""
        if engine := self.engine:
            self._samples.add(engine.counters())
            self._prunes, self.is_pending = False, True

    def _is_time_to_prune(self, engine: Engine, now: float) -> bool:
        """Return whether this turn is for removing what is too old: once an hour among all processes that share."""
        if self._prune_at is None:
            # A process that shares nothing cannot know when another one did so last.
            self._prune_at = now + HOUR.seconds / 2
        if now < self._prune_at or not engine.claim_record(f"{NAME}.prune", time.time(), gap=HOUR.seconds * 0.9):
            return False
        self._prune_at = now + HOUR.seconds
        return True

    def write(self, using: str) -> list[Sample]:
        """Roll up, or remove what is too old: at most two queries. Return the samples that are done with a commit."""
        with transaction.atomic(using=using, savepoint=False):
            if self._prunes:
                prune(time.time(), using)
                self._due_at = time.monotonic()
                return []
            samples = self._samples.all()
            # What starts to be rolled up leaves the other samples to the next turn.
            if samples and not roll_up(samples, using):
                self._due_at = time.monotonic() + RETRY_SECONDS
                return []
            return samples

    def done(self, samples: list[Sample]) -> None:
        """Forget samples, since they are committed."""
        self.is_pending = False
        self.has_rolled = True
        self._samples.drop(samples[:-1])
        if self._refused:
            self._refused = False
            logger.info("history: roll-ups written again")

    def failed(self, error: Exception, *, is_said: bool) -> None:
        """Leave the samples to a later turn; `is_said`: log it, once."""
        self.is_pending = False
        if is_said and not self._refused:
            self._refused = True
            logger.warning("history: roll-ups cannot be written (%s); run migrate?", type(error).__name__)


def roll_up(samples: Sequence[Sample], using: str) -> bool:
    """Add what the samples have beyond what is rolled up of their sources; False if some of these only start with it.

    Idempotent: samples that were rolled up before, by whichever process, add nothing.
    """
    epochs = {epoch for sample in samples for counters in sample.values() if (epoch := counters["epoch"])}
    cursors = _cursors(epochs, using)
    if epochs - cursors.keys():
        _start(samples, cursors, using)
        return False
    since = min((cursor.until for cursor in cursors.values()), default=time.time())
    increments = allot(samples, cursors, windows({*chain(*samples)}, since, time.time()))
    add(increments, using)
    return True


def _cursors(epochs: set[str], using: str) -> dict[str, Cursor]:
    """Return what is rolled up of these sources, and keep other processes from adding to it."""
    from django_lifesigns.history.rollups.model import Rollup

    if not epochs:  # Django has no statement for that
        return {}
    rows = Rollup.objects.select_for_update().filter(period=TOTAL, source__in=epochs)
    found = raw_rows(rows.values_list("source", "start", "until", *FIGURES), using)
    return {
        source: Cursor(start, until, dict(zip(FIGURES, figures, strict=True)))
        for source, start, until, *figures in found
    }


def _start(samples: Sequence[Sample], cursors: Mapping[str, Cursor], using: str) -> None:
    """Start to roll up the sources that are new: from their first run on, or from the first sample.

    Another process may do so at the same time: what it has started stays.
    """
    increments = Increments()
    for sample in samples:
        for name, counters in sample.items():
            epoch, since = counters["epoch"], counters["since"]
            if epoch is None or since is None or epoch in cursors:
                continue
            key = Key(name, TOTAL, int(since), epoch)
            if key in increments.rows:
                continue
            is_late = counters["at"] - since > START_SECONDS
            until = counters["at"] if is_late else since
            increments.add(key, until, totals(counters) if is_late else {})
            increments.add(Key(name, TOTAL, 0, LIVE), until, {})
    add(increments, using, only_new=True)


def prune(now: float, using: str) -> None:
    """Remove roll-ups that are older than they are kept: one query."""
    from django_lifesigns.history.rollups.model import Rollup

    old = Q(period=TOTAL, until__lt=now - SOURCES_KEPT) & ~Q(source__in=[LIVE, LOG])
    for period in PERIODS:
        old |= Q(period=period.name, start__lt=period.kept_since(now))
    Rollup.objects.using(using).filter(old)._raw_delete(using)  # in one statement
