"""In which order checks are shown: what fails first, each root cause followed by what it blocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_lifesigns.http.check_rows import root_of
from lifesigns.results import CheckInfo, Result

# The sections of the page.
STATUSES = ("error", "degraded", "unknown", "healthy", "skipped")


def shown_status(result: Result) -> str:
    """Return the status of a result, `unknown` where nothing is known: not run yet, or stale."""
    # What is blocked is known to be so, though it has no result of its own.
    return "unknown" if result.get("pending") and "blocked_by" not in result else result["status"]


def roots(results: Mapping[str, Result]) -> dict[str, str]:
    """Return the root cause of each check that is blocked: the first one up its parents that is not blocked itself."""
    return {name: root for name in results if (root := root_of(name, results)) != name}


def in_order(results: Mapping[str, Result], infos: Mapping[str, CheckInfo]) -> list[tuple[str, list[str]]]:
    """Return the names in order, each with the names of those that it blocks, which follow it.

    In a section critical ones come first, then those that have been so for longest, then by name.
    """
    by_root: dict[str, list[str]] = {}
    for name, root in sorted(roots(results).items()):
        by_root.setdefault(root, []).append(name)
    blocked = {name for names in by_root.values() for name in names}

    def place(name: str) -> tuple[Any, ...]:
        status = shown_status(results[name])
        is_bad = status in ("error", "degraded")
        # Times in one format and zone are in order as texts.
        since = results[name].get("since") or "" if is_bad else ""
        return STATUSES.index(status), is_bad and not infos[name]["critical"], since, name

    found = []
    for name in sorted((name for name in results if name not in blocked), key=place):
        blocks = by_root.get(name, [])
        found.append((name, blocks))
        found += [(child, []) for child in blocks]
    return found


def overall(results: Mapping[str, Result], infos: Mapping[str, CheckInfo]) -> str:
    """Return the status of the whole as far as it is known: unknown only where nothing fails."""
    statuses = {(shown_status(result), infos[name]["critical"]) for name, result in results.items()}
    if ("error", True) in statuses or not results:
        return "unhealthy"
    if statuses & {("error", False), ("degraded", True), ("degraded", False)}:
        return "degraded"
    return "unknown" if ("unknown", True) in statuses else "healthy"
