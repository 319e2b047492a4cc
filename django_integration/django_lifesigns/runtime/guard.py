"""Keeps whatever fails in health checking from stopping the application."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from lifesigns.redaction import redact

logger = logging.getLogger("django_lifesigns")

# True in the tests of this package: a mistake in it must fail them.
RAISES = False


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Log an exception, in one line, and its traceback at the level of debugging; the caller continues after the block.

    The text of the exception may hold anything: the line has its class alone.
    """
    try:
        yield
    except Exception as error:
        if RAISES:
            raise
        logger.error("health checks: %s failed (%s); the application runs without it", what, type(error).__name__)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("health checks: %s\n%s", what, redact(traceback.format_exc()))
