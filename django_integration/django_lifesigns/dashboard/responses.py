"""How the dashboard answers: as a page or as JSON, compressed for those that take that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.text import compress_string

from django_lifesigns.dashboard.csrf import csrf_token, finish
from django_lifesigns.dashboard.revision import fingerprint
from django_lifesigns.history.json_text import to_json
from django_lifesigns.http.headers import NOT_KEPT
from django_lifesigns.http.negotiation import preferred
from django_lifesigns.http.templates import page_response

HTML, JSON = "text/html", "application/json"
GZIP = re.compile(r"\bgzip\b")
# What is shorter is not worth it.
SHORTEST = 1_000
# The length of the answer says nothing about the token in it: https://ieeexplore.ieee.org/document/9754554
PADDING = 100


def wants_json(request: HttpRequest) -> bool:
    """Return whether the caller prefers JSON; others get the page."""
    return preferred(request, (HTML, JSON), {"json": JSON, "html": HTML}) == JSON


def json_response(request: HttpRequest, data: Mapping[str, Any]) -> HttpResponse:
    """Return the data, or 304 if the caller has it but for the time that has passed."""
    response = HttpResponse(to_json(data).encode(), content_type=JSON, headers=NOT_KEPT)
    etag = response.headers["ETag"] = f'W/"{fingerprint(data)}"'
    found: Any = get_conditional_response(request, etag=etag, response=response)
    return _finished(request, response if found is None else found)


def page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Return the page that a template makes of a context; where the user may do something, with the token for that."""
    has_forms = context["may"]["any"]
    token = csrf_token(request) if has_forms else ""
    response = page_response(request, template, {**context, "csrf_token": token})
    if has_forms:
        finish(request, response)
    return _finished(request, response)


def redirect(url: str) -> HttpResponse:
    """Return the redirect to another page of the dashboard, by GET: a reload does not send a form again."""
    return HttpResponse(status=303, headers={**NOT_KEPT, "Location": url, "Content-Length": "0"})


def _finished(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if len(response.content) >= SHORTEST and GZIP.search(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        response.content = compress_string(response.content, max_random_bytes=PADDING)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(response.content))
    return response
