"""`/health/status/`: how the service is, for everybody: groups and words, from what is known alone.

No name of a check, no message, no host and no number stands there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.rollups.maintenance import windows
from django_lifesigns.http.headers import page_headers
from django_lifesigns.http.negotiation import preferred
from django_lifesigns.http.templates import project_language, render_template
from django_lifesigns.runtime.engine import Runtime

State = Literal["operational", "degraded", "down", "maintenance", "unknown"]
WORDS = {
    "operational": lazy("Operational"),
    "degraded": lazy("Degraded"),
    "down": lazy("Down"),
    "maintenance": lazy("Under maintenance"),
    "unknown": lazy("Not known"),
}
SUMMARIES = {
    "operational": lazy("All systems are operational"),
    "degraded": lazy("Some systems are degraded"),
    "down": lazy("Some systems are down"),
    "maintenance": lazy("Some systems are under maintenance"),
    "unknown": lazy("The state of some systems is not known"),
}
# That of the whole is the first of these that a group has.
WORST_FIRST: tuple[State, ...] = ("down", "degraded", "unknown", "maintenance", "operational")
# For so many seconds a cache may keep it.
KEPT_SECONDS = 10
HEADERS = {
    "Cache-Control": f"public, max-age={KEPT_SECONDS}",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
FORMATS = {"html": "text/html", "json": "application/json"}


def public_answer(request: HttpRequest, runtime: Runtime) -> HttpResponse:
    """Return the page, or the same as JSON."""
    content_type = preferred(request, list(FORMATS.values()), FORMATS)
    with project_language():
        states = dict(_states(runtime))
        worst = next(state for state in WORST_FIRST if state in states.values())
        message = str(SUMMARIES[worst])
        if content_type == FORMATS["json"]:
            content, headers = to_json({"status": worst, "message": message, "groups": states}), HEADERS
        else:
            rows = [(name, state, WORDS[state]) for name, state in states.items()]
            context = {"status": worst, "word": WORDS[worst], "message": message, "rows": rows}
            content = render_template(request, "lifesigns/status.html", context)
            content_type, headers = f"{content_type}; charset=utf-8", {**HEADERS, **page_headers()}
    return HttpResponse(content, content_type, headers={**headers, "Content-Length": str(len(content.encode()))})


def _states(runtime: Runtime) -> Iterator[tuple[str, State]]:
    """Yield the state of each group, or of the whole where there are none."""
    engine = runtime.engine
    results = engine.known()["checks"]
    planned = _in_maintenance(results, time.time())
    for group in engine.groups:
        found = {name: results[name] for name in engine.names_of(group) if name in results}
        yield group, state_of(found, engine.names_of(group, critical_only=True), planned)
    if not engine.groups:
        critical = {runtime.names.get(key, key) for key in runtime.critical}
        yield _("Service"), state_of(results, critical, planned)


def _in_maintenance(names: Iterable[str], now: float) -> set[str]:
    return {name for name, found in windows(names, now, now + 1).items() if found}


def state_of(results: Mapping[str, Any], critical: Collection[str], planned: Collection[str]) -> State:
    """Return the state of checks together.

    Args:
        results: what is known of each; one that is `pending` is not known, and one that is skipped does not count.
        critical: the names of those that make it down, once in error.
        planned: the names of those in maintenance, which excuses them.
    """
    counted = {name: result for name, result in results.items() if result["status"] != "skipped"}
    others = {name: _known_status(result) for name, result in counted.items() if name not in planned}
    excused = any(_known_status(counted[name]) != "healthy" for name in counted.keys() & set(planned))
    state = _state(others, critical)
    if counted and (not others or (excused and state == "operational")):
        return "maintenance"
    return state


def _state(statuses: Mapping[str, str | None], critical: Collection[str]) -> State:
    of_critical = [status for name, status in statuses.items() if name in critical]
    known = [status for status in statuses.values() if status is not None]
    if "error" in of_critical:
        return "down"
    if None in of_critical or not known:
        return "unknown"
    return "operational" if all(status == "healthy" for status in known) else "degraded"


def _known_status(result: Mapping[str, Any]) -> str | None:
    return None if result.get("pending") else str(result["status"])
