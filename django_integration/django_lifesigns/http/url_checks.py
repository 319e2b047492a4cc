"""What would turn a probe into a redirect, a refusal or another page, for `manage.py check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string

from django_lifesigns.http.probe import probe_of
from django_lifesigns.http.routes import ProbeUrl, probe_urls
from django_lifesigns.settings.conf import read
from django_lifesigns.settings.placement import MIDDLEWARE, is_answered_first, middleware_before_probes
from django_lifesigns.settings.problems import ANSWERED_BY_OTHERS, HANDLERS_LOST, NOT_BEGUN, REFUSED, Problem

HINT = "Put django_lifesigns.middleware.ProbeMiddleware first in MIDDLEWARE, or wrap the application in probes()."
FILTER = "django_lifesigns.http.access_log.ProbeFilter"


def problems() -> Iterator[Problem]:
    """Return each way in which a probe gets another answer than its own."""
    if getattr(settings, "ROOT_URLCONF", None):  # a project may serve nothing
        urls = probe_urls()
        yield from _of_nothing(urls)
        yield from _of_middleware(urls)
        yield from _of_other_pages(urls)
    yield from _of_logging()


def _of_nothing(urls: Sequence[ProbeUrl]) -> Iterator[Problem]:
    """The middleware answers what the URLs include; with a probe server or the background refresh it has other work."""
    conf = read()
    if MIDDLEWARE in settings.MIDDLEWARE and not (urls or conf.runs_in_background):
        message = "ProbeMiddleware answers nothing: no probe is included in the URLs of the project."
        yield Problem(NOT_BEGUN, message, 'Add path("", include("django_lifesigns.urls")) to them.')


def _of_middleware(urls: Sequence[ProbeUrl]) -> Iterator[Problem]:
    """Kubelet takes a redirect for success, and sends an address as Host.

    Under DEBUG no kubelet calls: what a new project has by default is no mistake there, its own redirects are.
    """
    before = [_imported(path) for path in middleware_before_probes()]
    # Host and scheme are the caller's; the paths are the project's.
    paths = [url.path or "/alive/" for url in urls] or ["/alive/"]
    if _has(before, SecurityMiddleware) and settings.SECURE_SSL_REDIRECT:
        exempt = [re.compile(pattern) for pattern in settings.SECURE_REDIRECT_EXEMPT]
        redirected = [path for path in paths if not any(pattern.search(path.lstrip("/")) for pattern in exempt)]
        if redirected:
            yield Problem(REFUSED, f"SECURE_SSL_REDIRECT redirects probes such as {redirected[0]}.", HINT)
    if not _has(before, CommonMiddleware):
        return
    if "*" not in settings.ALLOWED_HOSTS and not settings.DEBUG:
        yield Problem(REFUSED, "ALLOWED_HOSTS refuses probes that have an address as Host, as those of kubelet.", HINT)
    if settings.PREPEND_WWW:
        yield Problem(REFUSED, "PREPEND_WWW redirects probes.", HINT)
    ending = next((path for path in paths if path.endswith("/")), None)
    if settings.APPEND_SLASH and ending and not settings.DEBUG:
        yield Problem(REFUSED, f"APPEND_SLASH redirects {ending[:-1]} to {ending}.", HINT)
    if any(url.is_translated for url in urls) and _has(before, LocaleMiddleware):
        message = "The probes are in i18n_patterns(): /alive/ is redirected to the same path with a language."
        yield Problem(REFUSED, message, f"{HINT} Or include them outside of i18n_patterns().")


def _of_other_pages(urls: Sequence[ProbeUrl]) -> Iterator[Problem]:
    conf = read()
    without = {
        *(() if conf.public_page else ["public_status"]),
        *(() if conf.share == "fleet" else ["fleet"]),
    }
    for url in urls:
        if url.path is None or url.view.__name__ in without:
            continue
        try:
            other = resolve(url.path, settings.ROOT_URLCONF).func
        except Resolver404:  # only where a part of the URLs resolves in its own way
            continue
        if probe_of(other) is not url.view:
            name = f"{other.__module__}.{getattr(other, '__qualname__', type(other).__qualname__)}"
            message = f"{url.path} is another page: {name} stands before the probe {url.view.__name__} in the URLs."
            if is_answered_first():
                message += " The probe is answered, and that page is never shown."
            yield Problem(ANSWERED_BY_OTHERS, message, "Include django_lifesigns.urls before it, or below a prefix.")


def _of_logging() -> Iterator[Problem]:
    """`dictConfig` takes the handlers of a logger away that is named without any, be it only with a level."""
    logging: Any = settings.LOGGING
    try:
        if logging.get("incremental"):  # it leaves all handlers where they are
            return
        filters = {name: one for name, one in logging.get("filters", {}).items() if one.get("()") == FILTER}
        filtered = {logger for one in filters.values() for logger in one.get("loggers", ())}
        lost = [
            (name, bool(filters.keys() & {*options.get("filters", ())}))
            for name, options in logging.get("loggers", {}).items()
            if not (options.get("handlers") or options.get("propagate"))
        ]
    except (AttributeError, TypeError):  # no such dict: Django says so itself
        return
    for name, has_filter in lost:
        entry = f"LOGGING['loggers'][{name!r}]"
        if has_filter:
            message = f"{entry} has a ProbeFilter and no handlers: nothing of that log is written."
            hint = f"Name it in the filter instead: 'loggers': [{name!r}] beside '()'."
            yield Problem(HANDLERS_LOST, message, hint)
        elif name in filtered:
            message = f"{entry} has no handlers, and takes those of its server away: nothing of that log is written."
            hint = (
                "Leave the entry out, since the filter names that logger already; or give it handlers, or 'propagate'."
            )
            yield Problem(HANDLERS_LOST, message, hint)


def _imported(path: str) -> object:
    try:
        return import_string(path)
    except ImportError:  # Django says so itself
        return None


def _has(middleware: list[object], kind: type) -> bool:
    return any(isinstance(one, type) and issubclass(one, kind) for one in middleware)
