"""An answer as a page for people: that of a report or a probe, or that of one check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_lifesigns.history.objectives.sentence import duration
from django_lifesigns.http.check_rows import listing
from django_lifesigns.http.content import Content
from django_lifesigns.http.links import link
from django_lifesigns.http.tables import Cell, Table, TableRow, cell, table_of
from django_lifesigns.http.templates import project_language, render_template
from django_lifesigns.http.words import label, moment_of, word

# What stands in the head of a page, and in no table.
IN_HEAD = frozenset(["status", "message", "hint", "timestamp", "uptime_seconds", "summary", "correlation_id"])
# Of one result.
OF_RESULT = frozenset(["status", "message", "hint", "details"])
Link = tuple[str, str, bool]


def render(content: Content) -> str:
    """Return the whole page."""
    with project_language():
        if content.check:
            return render_template(content.request, "lifesigns/check.html", _of_check(content))
        return render_template(content.request, "lifesigns/health.html", _of_report(content))


def navigation(request: HttpRequest, is_detailed: bool) -> list[Link]:
    """Return the links to the other pages as (title, URL, whether it is this page), for a caller who sees details."""
    pages = [(_("Health"), "health_check"), (_("Detailed"), "detailed_health_check")]
    if is_detailed:
        pages.append((_("Dashboard"), "dashboard"))
    found = [(title, link(request, view)) for title, view in pages]
    return [*((title, url, url == request.path) for title, url in found if url), (_("JSON"), "?format=json", False)]


def _head(content: Content, now: datetime) -> dict[str, Any]:
    body = content.body
    message = body.get("message")
    return {
        "links": navigation(content.request, content.is_detailed),
        "status": body["status"],
        "word": word(body["status"]),
        # Messages of ours may stand in the project's catalogue.
        "message": _(message) if message else "",
        "hint": _(body["hint"]) if "hint" in body else "",
        "at": moment_of(body.get("timestamp"), now),
    }


def _of_report(content: Content) -> dict[str, Any]:
    now, body = datetime.now(timezone.utc), content.body
    url_of = partial(_url_of_check, content.request)
    uptime = body.get("uptime_seconds")
    failing = [name for name in content.decisive if content.results[name]["status"] == "error"]
    names = {"names": ", ".join(failing)}
    return {
        **_head(content, now),
        **({"message": _("Critical checks failing: %(names)s") % names} if failing else {}),
        "group": content.group,
        "summary": body.get("summary"),
        "uptime": "" if uptime is None else duration(uptime),
        "correlation_id": body.get("correlation_id", ""),
        "listing": listing(content.results, url_of, content.critical, now),
        "more": [(label(key), *_section(value, now)) for key, value in body.items() if _is_more(key, value, content)],
    }


def _is_more(key: str, value: object, content: Content) -> bool:
    """Return whether a key of a report has a section of its own: not what stands above, and nothing that is empty."""
    return key not in IN_HEAD and value is not content.results and value not in ({}, [], "")


def _of_check(content: Content) -> dict[str, Any]:
    now, body = datetime.now(timezone.utc), content.body
    facts = [
        TableRow(label(key), (cell(value, now),)) for key, value in body.items() if key not in OF_RESULT and value != ""
    ]
    parent = body.get("blocked_by")
    return {
        **_head(content, now),
        "check": content.check,
        "is_critical": content.check in content.critical,
        "parent": parent,
        "parent_url": _url_of_check(content.request, parent) if parent else None,
        "dashboard_url": link(content.request, "dashboard_check", check=content.check) if content.is_detailed else None,
        "facts": Table(tuple(facts)),
        "details": table_of(body["details"], now) if body.get("details") else None,
    }


def _section(value: object, now: datetime) -> tuple[Cell, list[tuple[str, Table]]]:
    """Return what stands under a heading: a value, or a table for each key, which are folded."""
    if isinstance(value, Mapping) and value and all(isinstance(one, list) and one for one in value.values()):
        return Cell(), [(name, table_of(one, now)) for name, one in value.items()]
    return Cell(_("Cannot be read now")) if value is None else cell(value, now), []


def _url_of_check(request: HttpRequest, check: str) -> str | None:
    return link(request, "single_check", check=check)
