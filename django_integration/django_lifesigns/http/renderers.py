"""An answer in the media type that the caller prefers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from django_lifesigns.history.json_text import to_json
from django_lifesigns.http import page
from django_lifesigns.http.content import Body, Content
from django_lifesigns.http.headers import NOT_KEPT, page_headers
from django_lifesigns.http.negotiation import preferred
from lifesigns import Sweep

Renderer = Callable[[Content], str]

# In the words of the IETF's draft "Health Check Response Format for HTTP APIs"; skipped checks are left out there.
DRAFT_STATUS = {
    **dict.fromkeys(("healthy", "alive", "ready", "started", "skipped"), "pass"),
    "degraded": "warn",
}
# For callers that see statuses only, the same for all.
HINT = "Messages and details require a bearer token, an allowed network or a staff session"


def answer(
    request: HttpRequest, body: Body, code: int = 200, results: str | None = "checks", **more: Any
) -> HttpResponse:
    """The response with this body, which holds its results, if any, under the key `results`.

    `more` is what a page shows beside it: see `Content`.
    """

    def content() -> Content:
        found = body.get(results, {}) if results else {}
        return Content(request=request, body=body, results=found, **more)

    return _negotiated(request, code, lambda: to_json(body), content)


def answer_sweep(
    request: HttpRequest, sweep: Sweep, details: bool, hint: Mapping[str, str], **more: Any
) -> HttpResponse:
    """The response with the report of this sweep and the hint; without `details` only the statuses.

    `more` is what a page shows beside it: see `Content`.
    """

    def as_json() -> str:
        text = sweep.json(details)
        return f"{text[:-1]}, {to_json(hint)[1:]}" if hint else text

    def content() -> Content:
        report: dict[str, Any] = {**sweep.report(details), **hint}
        return Content(request=request, body=report, results=report["checks"], is_detailed=details, **more)

    return _negotiated(request, 503 if sweep.status == "unhealthy" else 200, as_json, content)


def _negotiated(
    request: HttpRequest, code: int, as_json: Callable[[], str], content: Callable[[], Content]
) -> HttpResponse:
    content_type = preferred(request, OFFERED, FORMATS)
    text = as_json() if content_type == JSON else RENDERERS[content_type](content())
    # As bytes: Django would look for the charset that it has just been given.
    written = text.encode()
    charset = "; charset=utf-8" if content_type.startswith("text/") else ""
    headers = {
        **NOT_KEPT,
        # As Django's CommonMiddleware does: without it servers send the answer in chunks, which takes a third packet.
        "Content-Length": str(len(written)),
        **(page_headers() if content_type == HTML else {}),
    }
    response = HttpResponse(written, content_type=content_type + charset, status=code, headers=headers)
    # Django would log every 4xx and 5xx, and mail each 503 of a probe to ADMINS.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _health_json(content: Content) -> str:
    body, results = content.body, content.results
    checks = {name: [_draft(result)] for name, result in results.items() if result["status"] != "skipped"}
    notes = [body["hint"]] if "hint" in body else []
    shown = {"status": _draft_status(body), "output": body.get("message"), "notes": notes, "checks": checks}
    return to_json({key: value for key, value in shown.items() if value})


def _draft(result: Body) -> dict[str, Any]:
    shown = {"status": _draft_status(result), "time": result["timestamp"]}
    if "duration_ms" in result:
        shown |= {"observedValue": result["duration_ms"], "observedUnit": "ms"}
    if shown["status"] != "pass" and "message" in result:
        shown["output"] = result["message"]
    return shown


def _draft_status(body: Body) -> str:
    return DRAFT_STATUS.get(body["status"], "fail")


def _text(content: Content) -> str:
    lines = [_line(content.body), *(f"{name}: {_line(result)}" for name, result in content.results.items())]
    return "\n".join(lines) + "\n"


def _line(body: Body) -> str:
    # A message may have line ends of its own.
    return " ".join(f"{body['status']} {body.get('message', '')}".split())


JSON = "application/json"
HEALTH_JSON = "application/health+json"
TEXT = "text/plain"
HTML = "text/html"
RENDERERS: dict[str, Renderer] = {
    HEALTH_JSON: _health_json,
    TEXT: _text,
    HTML: page.render,
}
# JSON comes first, and needs no `Content`: most answers are to probes.
OFFERED = (JSON, *RENDERERS)
# By the value of `?format=`, where a plus sign is a space unless it is escaped.
FORMATS = {"json": JSON, "health+json": HEALTH_JSON, "health json": HEALTH_JSON, "text": TEXT, "html": HTML}
