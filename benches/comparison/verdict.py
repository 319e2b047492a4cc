"""What was measured against what is promised, and against the last accepted run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

RATIO = "x"
# A ratio that is worse by more than this has become worse.
TOLERANCE = 1.2


@dataclass(frozen=True, kw_only=True)
class Number:
    """A measured value with its bound, if one is promised: at most that or, where `more_is_better`, at least.

    `low` and `high` are the 5th and 95th percentile of the same value in the single turns.
    """

    key: str
    what: str
    value: float
    unit: str = RATIO
    bound: float | None = None
    more_is_better: bool = False
    low: float | None = None
    high: float | None = None

    @classmethod
    def ratio(cls, ours: Sequence[float], theirs: Sequence[float], *, turns: int, **rest: object) -> Self:
        """Of two medians; its spread is that between the medians of each turn."""
        each = [
            one / other for one, other in zip(medians(ours, turns), medians(theirs, turns), strict=True) if other > 0
        ]
        low, high = spread(each)
        return cls(value=median(ours) / median(theirs), low=low, high=high, **rest)  # type: ignore[arg-type]

    @property
    def kept(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.more_is_better else self.value <= self.bound


def medians(values: Sequence[float], turns: int) -> list[float]:
    size = len(values) // turns
    return [median(values[start : start + size]) for start in range(0, size * turns, size)]


def spread(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[0], cuts[-1]


def ratios(numbers: Iterable[Number]) -> dict[str, float]:
    """Those that another machine can be compared by."""
    return {number.key: float(f"{number.value:.4g}") for number in numbers if number.unit == RATIO}


def worse(numbers: Iterable[Number], baseline: Mapping[str, float]) -> list[str]:
    """What has become worse since, one line each."""
    found = []
    for number in numbers:
        before = baseline.get(number.key)
        if number.unit != RATIO or before is None:
            continue
        change = before / number.value if number.more_is_better else number.value / before
        if change > TOLERANCE:
            found.append(f"{number.what}: {before:.3g} x, now {number.value:.3g} x")
    return found


def read(path: Path) -> dict[str, float]:
    baseline: dict[str, float] = json.loads(path.read_text())
    return baseline


def write(path: Path, numbers: Iterable[Number], keep: Mapping[str, float] | None = None) -> None:
    """Write the ratios, beside those that another benchmark has written: `keep`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**(keep or {}), **ratios(numbers)}, indent=2) + "\n")
