"""The headers of answers: what is kept of them, and what a page of ours may load."""

from __future__ import annotations

# A cached response, wherever it is kept, is about the past.
NOT_KEPT = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
# It is all that our pages need, and a project's own policy would not know it.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def page_headers() -> dict[str, str]:
    """Return the headers that each page of ours has beside those of every answer."""
    return {"Content-Security-Policy": POLICY}
