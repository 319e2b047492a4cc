"""Our style sheets and scripts, served by a view: without staticfiles, sessions or a database, to everybody.

The URL of each has a hash of its content, so that browsers keep it for a year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from django_lifesigns.http.headers import NOT_KEPT
from django_lifesigns.http.links import link
from django_lifesigns.http.probe import probe
from django_lifesigns.runtime.waiting import Wait

FOLDER = Path(__file__).resolve().parents[1] / "static/lifesigns"
CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
DIGITS = 16
YEAR = 31_536_000
KEPT = {"Cache-Control": f"public, max-age={YEAR}, immutable", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, its media type, and the hash in its URL."""

    content: bytes
    content_type: str
    digest: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return all assets by name; the files are read once."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in CONTENT_TYPES)
    return {path.name: _asset(path.read_bytes(), CONTENT_TYPES[path.suffix]) for path in files}


def asset_urls(request: HttpRequest) -> dict[str, str]:
    """Return the URL of each asset, for a page at the request's: by its name with `_` for the dot.

    Empty where the project includes no URL of assets beside this one: the page is without a style then.
    """
    urls = {}
    for name, asset in assets().items():
        if url := link(request, "health_asset", digest=asset.digest, name=name):
            urls[name.replace(".", "_")] = url
    return urls


@probe()
async def health_asset(request: HttpRequest, wait: Wait, digest: str, name: str) -> HttpResponse:
    """`/health/assets/<digest>/<name>`: a style sheet or a script.

    While a new version is rolled out, a page of one version may request the assets of the other: it gets what there is,
    which no cache keeps.
    """
    asset = assets().get(name)
    if asset is None:
        response = HttpResponse("No such file\n", "text/plain; charset=utf-8", 404, headers=NOT_KEPT)
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response
    kept = KEPT if digest == asset.digest else NOT_KEPT
    etag = f'"{asset.digest}"'
    headers = {**kept, "ETag": etag, "Content-Length": str(len(asset.content))}
    response = HttpResponse(asset.content, content_type=asset.content_type, headers=headers)
    found = get_conditional_response(request, etag=etag, response=response)
    return response if found is None else found


def _asset(content: bytes, content_type: str) -> Asset:
    return Asset(content, content_type, sha256(content).hexdigest()[:DIGITS])
