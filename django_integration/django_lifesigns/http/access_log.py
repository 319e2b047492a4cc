"""Keeps the probes that succeed out of access logs, where one every second would drown the rest."""

from __future__ import annotations

import logging
import re

PATH = r"(?:\S*/)?(?:alive|ready|startup|health|metrics)(?:/\w*)?/?(?:\?\S*)?"
PROBE = re.compile(rf'(?:GET|HEAD) {PATH} HTTP/[\d.]+" 200\b')


class ProbeFilter(logging.Filter):
    """A filter for `django.server`, `uvicorn.access`, `gunicorn.access` and other loggers of request lines.

    To be named in `LOGGING`: `{"filters": {"probes": {"()": "django_lifesigns.http.access_log.ProbeFilter"}}}`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a probe that was answered with 200."""
        return not PROBE.search(record.getMessage())
