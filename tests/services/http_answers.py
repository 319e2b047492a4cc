"""What Google Maps, OpenAI and Anthropic answer: the shapes of their documentation, as pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json


def google(request: Request, key: str, control: Json) -> Answer:
    """https://developers.google.com/maps/documentation/geocoding/requests-geocoding#StatusCodes"""
    messages = {
        "REQUEST_DENIED": "The provided API key is invalid. ",
        "OVER_QUERY_LIMIT": "You have exceeded your rate-limit for this API.",
        "OVER_DAILY_LIMIT": "You have exceeded your daily request quota for this API.",
        "INVALID_REQUEST": "Invalid request. Missing the 'address', 'components', 'latlng' or 'place_id' parameter.",
        "UNKNOWN_ERROR": "The request could not be processed due to a server error.",
    }
    if request.query.get("key") != key:
        status = "REQUEST_DENIED"
    elif not request.query.keys() & {"address", "components", "latlng", "place_id"}:
        status = "INVALID_REQUEST"
    else:
        status = control.get("api_status", "OK")
    body: Json = {"results": [_PLACE] if status == "OK" else [], "status": status}
    if status in messages:
        body = {"error_message": messages[status], **body}
    return Answer(control.get("status", 400 if status == "INVALID_REQUEST" else 200), body)


def openai(request: Request, key: str, control: Json) -> Answer:
    """https://platform.openai.com/docs/api-reference/models/list and .../guides/error-codes"""
    given = request.headers.get("authorization", "")
    status = control.get("status", 200 if given == f"Bearer {key}" else 401)
    if status == 200:
        models = ("gpt-4.1", "gpt-4o", "gpt-4o-mini")
        data = [{"id": model, "object": "model", "created": 1715367049, "owned_by": "system"} for model in models]
        return Answer(200, {"object": "list", "data": data})
    # The real service, too, repeats the key it was given.
    kind, code, message = {
        401: (
            "invalid_request_error",
            "invalid_api_key",
            f"Incorrect API key provided: {given.removeprefix('Bearer ')}.",
        ),
        403: (
            "request_forbidden",
            "unsupported_country_region_territory",
            "Country, region, or territory not supported",
        ),
        429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests"),
    }.get(status, ("server_error", None, "The server had an error while processing your request. Sorry about that!"))
    return Answer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def anthropic(request: Request, key: str, control: Json) -> Answer:
    """https://docs.anthropic.com/en/api/models-list and .../en/api/errors"""
    status, message = 200, "Something went wrong."
    if "anthropic-version" not in request.headers:
        status, message = 400, "anthropic-version: header is required"
    elif request.headers.get("x-api-key") != key:
        status, message = 401, "invalid x-api-key"
    status = control.get("status", status)
    if status == 200:
        model = {"type": "model", "id": "claude-opus-4-1-20250805", "display_name": "Claude Opus 4.1"}
        data = [{**model, "created_at": "2025-08-05T00:00:00Z"}]
        return Answer(200, {"data": data, "has_more": False, "first_id": model["id"], "last_id": model["id"]})
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    error = {"type": kinds.get(status, "api_error"), "message": message}
    return Answer(status, {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


def not_found(path: str) -> Answer:
    return Answer(HTTPStatus.NOT_FOUND, {"error": {"message": f"Unknown URL: {path}", "type": "invalid_request_error"}})


Api = Callable[[Request, str, Json], Answer]

PATHS: dict[str, tuple[str, Api]] = {
    "/maps/api/geocode/json": ("google", google),
    "/openai/v1/models": ("openai", openai),
    "/anthropic/v1/models": ("anthropic", anthropic),
}

_PLACE: Json = {
    "address_components": [{"long_name": "Google Building 40", "short_name": "Google Bldg 40", "types": ["premise"]}],
    "formatted_address": "1600 Amphitheatre Pkwy, Mountain View, CA 94043, USA",
    "geometry": {"location": {"lat": 37.4223878, "lng": -122.0841877}, "location_type": "ROOFTOP"},
    "place_id": "ChIJj38IfwK6j4ARNcyPDnEGa9g",
    "types": ["premise"],
}
