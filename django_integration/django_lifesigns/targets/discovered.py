"""A check as it is to be registered with an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import cast

from django_lifesigns.checks.kinds import Check


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscoveredCheck:
    """A check as it is to be registered; `options` are keywords of `Engine.register`. The settings know it as `key`."""

    key: str
    name: str
    check: Check = field(repr=False)
    options: dict[str, object]
    # What names its target, and whether it is critical where nothing else is configured, as the project's own are.
    setting: str = "LIFESIGNS['CHECKS']"
    critical_by_default: bool = True

    @property
    def is_critical(self) -> bool:
        """Whether its error makes the service unhealthy, also where another of its options is wrong."""
        critical = self.options.get("critical")
        return critical if isinstance(critical, bool) else self.critical_by_default


def parents_first(checks: Sequence[DiscoveredCheck]) -> Iterator[DiscoveredCheck]:
    """Yield the same checks in their order, but each after those that it depends on, as an engine takes them.

    Checks that depend on each other come last; the engine refuses them, naming the one that it does not know.
    """
    places = {check.name: place for place, check in enumerate(checks)}
    left = dict(places)
    sorter = TopologicalSorter({check.name: parents_of(check) & places.keys() for check in checks})
    with suppress(CycleError):  # it yields all the same what is in no circle
        sorter.prepare()
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, places[name])
        if not ready:
            break
        check = checks[heappop(ready)]
        del left[check.name]
        yield check
        sorter.done(check.name)
    yield from (checks[place] for place in left.values())


def parents_of(check: DiscoveredCheck) -> set[str]:
    """Return the names, in the report, of the checks that a check depends on."""
    return set(cast("Sequence[str]", check.options.get("depends_on", ())))
