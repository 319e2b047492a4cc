"""Keeps the probes that succeed out of access logs, where one every second would drown the rest."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

# The request line and the code. In the Common Log Format, with which most servers begin, it is the first quoted text:
# what stands behind it, such as the user agent, is the caller's. hypercorn writes `"GET /alive/ 1.1" 200`, daphne
# `"GET /alive/" 200`, and its `runserver` a coloured `HTTP GET /alive/ 200`.
REQUEST = r'(?:GET|HEAD) (?P<path>/[^\s?"]*)(?:\?[^\s"]*)?(?: (?:HTTP/)?[\d.]+)?'
PROBE = re.compile(rf'[^"]*"{REQUEST}" 200\b')
DAPHNE = re.compile(rf"(?:\x1b\[[\d;]*m)?HTTP {REQUEST} 200\b")
# Longer ones are no probes.
LONGEST = 4_096


class ProbeFilter(logging.Filter):
    """A filter for the loggers of request lines: `django.server`, `uvicorn.access`, `gunicorn.access` and others.

    For `LOGGING`, where it adds itself to the loggers that it is given; a logger that is named there in any other way
    loses the handlers that it has::

        "filters": {"probes": {"()": "django_lifesigns.http.access_log.ProbeFilter", "loggers": ["uvicorn.access"]}}
    """

    def __init__(self, name: str = "", loggers: Iterable[str] = ()) -> None:
        super().__init__(name)
        for logger in loggers:
            logging.getLogger(logger).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a probe of this project that was answered with 200."""
        line = record.getMessage()
        found = (PROBE.match(line) or DAPHNE.match(line)) if len(line) < LONGEST else None
        return found is None or not _is_probe(unquote(found["path"]))


def _is_probe(path: str) -> bool:
    # Here, since LOGGING is read before Django's apps are there.
    from django.conf import settings

    from django_lifesigns.http.routes import route_of

    try:
        # Servers log the path with the prefix at which they serve the application.
        for prefix in ("", settings.FORCE_SCRIPT_NAME, os.environ.get("SCRIPT_NAME")):
            if prefix is not None and path.startswith(prefix) and route_of(path.removeprefix(prefix)):
                return True
    except Exception:  # noqa: BLE001  # whatever keeps the project's URLs from being read: the line is written
        return False
    return False
