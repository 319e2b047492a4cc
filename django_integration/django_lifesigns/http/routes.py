"""Which probe a path is for: by the project's own URLs, whatever prefix, namespace or name they have there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import LocalePrefixPattern, RoutePattern
from django.utils.translation import get_language_from_path

from django_lifesigns.http.probe import ProbeView, probe_of
from django_lifesigns.runtime.engine import get_engine, get_runtime

# No URL of a probe is longer, and what is kept by path stays small.
LONGEST = 300
KEPT_PATHS = 512
NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Route:
    """A probe, the arguments that a path gives it, its URL, and what of the path stands before that URL's last part."""

    view: ProbeView
    arguments: Mapping[str, Any]
    url: ProbeUrl
    prefix: str

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Respond, and wait on this thread for it."""
        return self.view.respond(request, **self.arguments)

    async def arespond(self, request: HttpRequest) -> HttpResponse:
        """Respond in the running event loop."""
        return await self.view.arespond(request, **self.arguments)


@dataclass(frozen=True, slots=True)
class ProbeUrl:
    """A URL of the project that is a probe: what its path has to match, part after part, with their arguments."""

    view: ProbeView
    parts: tuple[tuple[Any, Mapping[str, Any]], ...]

    def match(self, path: str) -> Route | None:
        """Return the route of a path, without its leading slash, that is this URL's."""
        arguments: dict[str, Any] = {}
        whole = rest = path
        for pattern, extra in self.parts:
            rest = path
            if isinstance(pattern, LocalePrefixPattern):
                path = _without_language(path)
                continue
            found = pattern.match(path)
            if found is None:
                return None
            path, _, captured = found
            arguments |= captured | extra
        return Route(self.view, arguments, self, whole[: len(whole) - len(rest)])

    @property
    def path(self) -> str | None:
        """The one path of this URL; None where it has several."""
        patterns = [pattern for pattern, _ in self.parts]
        if not all(isinstance(pattern, RoutePattern) and not pattern.converters for pattern in patterns):
            return None
        return "/" + "".join(map(str, patterns))

    @property
    def is_translated(self) -> bool:
        """Whether its prefix is that of a language (`i18n_patterns`)."""
        return any(isinstance(pattern, LocalePrefixPattern) for pattern, _ in self.parts)

    @property
    def word(self) -> str:
        """A text that is in each of its paths; empty where that is not known."""
        pattern = self.parts[-1][0]
        return str(pattern).partition("<")[0].strip("/") if isinstance(pattern, RoutePattern) else ""


def route_of(path: str) -> Route | None:
    """Return the route of a path as the server gives it; None for one of the project's own pages.

    These may be where other packages have their metrics, too, and below `/health/`, where we have checks and groups.
    """
    route = find(path)
    if route is None:
        return None
    if route.view.__name__ == "metrics":
        others = is_the_projects(path)
    else:
        others = _is_unknown(route) and is_the_projects(*either(path))
    return None if others else route


def _is_unknown(route: Route) -> bool:
    """Return whether the check, the group or the page of a route is not there."""
    match route.view.__name__:
        case "single_check":
            return route.arguments.get("check") not in get_engine().names
        case "group_check":
            return route.arguments.get("group") not in get_engine().groups
        case "fleet":
            runtime = get_runtime()
            return not (runtime.has_fleet or "fleet" in runtime.engine.names)
        case "public_status":
            runtime = get_runtime()
            return not (runtime.conf.public_page or "status" in runtime.engine.names)
    return False


def find(path: str, urlconf: Any = None) -> Route | None:
    """Return the route of a path, with or without the slash at its end, in the project's URLs or in those of a host."""
    if len(path) > LONGEST:
        return None
    urlconf = urlconf or settings.ROOT_URLCONF
    words, _ = _table(urlconf)
    return _find(urlconf, path) if words is None or words.search(path) else None


def probe_urls(urlconf: Any = None) -> Sequence[ProbeUrl]:
    """Return the probes among the project's URLs, or those of a host."""
    return _table(urlconf or settings.ROOT_URLCONF)[1]


def is_the_projects(*paths: str) -> bool:
    """Return whether the project has a page of its own at any of these paths."""
    for path in paths:
        try:
            if probe_of(resolve(path, settings.ROOT_URLCONF).func) is None:
                return True
        except Resolver404:
            continue
    return False


def either(path: str) -> tuple[str, ...]:
    """Return the path, and the same with a slash at its end or without."""
    if not path.endswith("/"):
        return path, path + "/"
    return (path, path[:-1]) if path.strip("/") and not path.endswith("//") else (path,)


@lru_cache(KEPT_PATHS)
def _find(urlconf: object, path: str) -> Route | None:
    _, urls = _table(urlconf)
    if not path.startswith("/"):
        return None
    for candidate in either(path):
        for url in urls:
            if (route := url.match(candidate[1:])) is not None:
                return route
    return None


@lru_cache(8)
def _table(urlconf: Any) -> tuple[re.Pattern[str] | None, tuple[ProbeUrl, ...]]:
    """Return the URLs, and what finds out quickly that a path is none of them."""
    urls = tuple(_walk(get_resolver(urlconf).url_patterns, ()))
    words = [url.word for url in urls]
    if not urls:
        return NOTHING, urls
    return (re.compile("|".join(map(re.escape, words))) if all(words) else None), urls


def _walk(patterns: Any, parts: tuple[tuple[Any, Mapping[str, Any]], ...]) -> Iterator[ProbeUrl]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, (*parts, (pattern.pattern, pattern.default_kwargs)))
        elif isinstance(pattern, URLPattern) and (view := probe_of(pattern.callback)) is not None:
            yield ProbeUrl(view, (*parts, (pattern.pattern, pattern.default_args)))


def _without_language(path: str) -> str:
    """The middleware that chooses a language comes later: any is taken, and none."""
    return path.partition("/")[2] if get_language_from_path(f"/{path}") else path


def _reset(**_: object) -> None:
    _table.cache_clear()
    _find.cache_clear()


setting_changed.connect(_reset)
