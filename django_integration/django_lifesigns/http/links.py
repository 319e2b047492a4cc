"""The URLs of our views that stand beside the one of a request: below the same prefix, whatever namespace it has."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django.urls import get_script_prefix
from django.urls.resolvers import RoutePattern
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes

from django_lifesigns.http.routes import ProbeUrl, Route, find, probe_urls


def link(request: HttpRequest, view: str, **arguments: str) -> str | None:
    """Return the URL of the view of that name, for a page at the request's URL; None where the project has none.

    It is the one that is included together with the request's, also where the middleware answers and Django has not
    resolved anything; else one without arguments in its prefix.
    """
    urlconf = getattr(request, "urlconf", None)
    route = find(request.path_info, urlconf)
    others = [url for url in probe_urls(urlconf) if url.view.__name__ == view]
    beside = [url for url in others if route is not None and _stand_together(url, route)]
    for url in (*beside, *others):
        prefix = route.prefix if route is not None and url in beside else _prefix(url)
        end = _path(url.parts[-1][0], arguments)
        if prefix is not None and end is not None:
            return escape_leading_slashes(escape_uri_path(f"{_script_name(request)}/{prefix}{end}"))
    return None


def site_link(view: str, **arguments: str) -> str | None:
    """Return the URL of the view of that name, for a page that is none of ours.

    None where the project has none, or none without arguments in its prefix.
    """
    for url in probe_urls():
        prefix, end = _prefix(url), _path(url.parts[-1][0], arguments)
        if url.view.__name__ == view and prefix is not None and end is not None:
            return escape_leading_slashes(escape_uri_path(f"{get_script_prefix().rstrip('/')}/{prefix}{end}"))
    return None


def _stand_together(url: ProbeUrl, route: Route) -> bool:
    ours, theirs = url.parts[:-1], route.url.parts[:-1]
    return len(ours) == len(theirs) and all(one[0] is other[0] for one, other in zip(ours, theirs, strict=True))


def _script_name(request: HttpRequest) -> str:
    """Return the path at which the server has the project, with FORCE_SCRIPT_NAME, also in front of the application."""
    return str(request.META.get("SCRIPT_NAME", "")).rstrip("/")


def _prefix(url: ProbeUrl) -> str | None:
    parts = [_path(pattern, {}) for pattern, _ in url.parts[:-1]]
    return None if None in parts else "".join(map(str, parts))


def _path(pattern: Any, arguments: dict[str, str]) -> str | None:
    """Return the path of a part of a URL; None where it takes other arguments, or is an expression."""
    if not isinstance(pattern, RoutePattern) or pattern.converters.keys() != arguments.keys():
        return None
    return re.sub(r"<(?:[^<>:]+:)?(\w+)>", lambda found: arguments[found.group(1)], str(pattern))
