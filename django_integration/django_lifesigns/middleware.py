"""Answers the probes before the host check, redirects, sessions and authentication of the project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, get_script_prefix, resolve, reverse
from django.utils.functional import cached_property  # that of Python 3.11 takes a lock, which a fork leaves locked

from django_lifesigns import urls
from django_lifesigns.runtime import worker
from django_lifesigns.runtime.engine import get_engine

# Asked by machines, and never for details that a session could show.
WITHOUT_SESSION = frozenset(["liveness_check", "readiness_check", "startup_check"])
FIRST_PARTS = frozenset(str(pattern.pattern).partition("/")[0] for pattern in urls.urlpatterns)


class ProbeMiddleware:
    """Belongs first in `MIDDLEWARE`: kubelet sends the pod's address as Host, plain HTTP and no cookie.

    The paths are those at which the project includes `django_lifesigns.urls`, with or without the slash at the end;
    where it does not include them, `/alive/` and so on. A request with a session cookie goes on to the view of the same
    URL, unless it is for one of the three probes, since only there it is known whose session that is.

    The server that loads it also starts what `worker` describes.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        worker.on_load()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            worker.watch_event_loop()
        match = self._match(request)
        if match is None:
            return self.get_response(request)
        if self.is_async:
            return self._acall(request, match)
        response = _answer(request, match)
        return self.get_response(request) if response is None else response

    async def _acall(self, request: HttpRequest, match: ResolverMatch) -> HttpResponseBase:
        # As Django runs any `def` view under ASGI: on a thread of the request, so that nothing blocks the event loop.
        response = await sync_to_async(_answer)(request, match)
        return await self.get_response(request) if response is None else response  # type: ignore[misc]

    @cached_property
    def _prefix(self) -> str:
        """What stands before `alive/` in the project's URLs, with a slash at both ends."""
        try:
            return "/" + reverse("liveness_check").removeprefix(get_script_prefix()).removesuffix("alive/")
        except NoReverseMatch:
            return "/"

    def _match(self, request: HttpRequest) -> ResolverMatch | None:
        """The URL that is asked for, if it is one of ours."""
        path = request.path_info.removesuffix("/") + "/"
        if not path.startswith(self._prefix):
            return None
        path = path[len(self._prefix) :]
        if path.partition("/")[0] not in FIRST_PARTS:
            return None
        try:
            match = _fixed().get(path) or resolve(f"/{path}", urls.__name__)
        except Resolver404:
            return None
        if match.url_name == "metrics" and _is_the_projects(request.path_info):
            return None
        anonymous = match.url_name in WITHOUT_SESSION or settings.SESSION_COOKIE_NAME not in request.COOKIES
        return match if anonymous else None


@cache
def _fixed() -> dict[str, ResolverMatch]:
    """By path, the URLs that are always the same: Django's resolver would take a tenth of the time of a probe."""
    paths = [str(pattern.pattern) for pattern in urls.urlpatterns]
    return {path: resolve(f"/{path}", urls.__name__) for path in paths if "<" not in path}


def _is_the_projects(path: str) -> bool:
    """Whether the project has a page of its own at exactly this path: `/metrics` is where other packages are, too."""
    try:
        return not resolve(path).func.__module__.startswith("django_lifesigns")
    except Resolver404:
        return False


def _answer(request: HttpRequest, match: ResolverMatch) -> HttpResponse | None:
    """What the view says; None for a check that there is not, since it may be a page of the project's own."""
    if match.url_name == "single_check" and match.kwargs["check"] not in get_engine().names:
        return None
    response: HttpResponse = match.func(request, *match.args, **match.kwargs)
    # As Django's CommonMiddleware would: without it servers send an answer in chunks, which takes a third packet.
    response.headers["Content-Length"] = str(len(response.content))
    return response
