"""Reads and writes on the caller's own connection: in a test run nothing may happen beside the test's transaction."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from django.db import models, router, transaction

from django_lifesigns.history.buffer import PendingRow
from django_lifesigns.history.rows import insert

logger = logging.getLogger("django_lifesigns")

Value = TypeVar("Value")


def write(rows: Sequence[PendingRow]) -> bool:
    """Write the rows that the test's database lacks, in its transaction; return whether that was possible."""
    from django_lifesigns.models import HealthCheckLog

    try:
        using = router.db_for_write(HealthCheckLog)
        with transaction.atomic(using=using):
            insert(deque(_missing(rows, using)))
    except Exception as error:  # noqa: BLE001  # a test that may use no database says so by exceptions of its own
        logger.warning("history: cannot be written (%s)", type(error).__name__)
        return False
    return True


def read(function: Callable[[], Value], *read_from: type[models.Model]) -> Value | None:
    """Return what a function reads from these models, or None if it cannot."""
    try:
        with ExitStack() as transactions:
            for using in sorted({router.db_for_read(model) for model in read_from}):
                # A statement that fails would end the transaction of the test.
                transactions.enter_context(transaction.atomic(using=using))
            return function()
    except Exception:  # noqa: BLE001  # a test that may use no database says so by exceptions of its own
        return None


def _missing(rows: Sequence[PendingRow], using: str) -> list[PendingRow]:
    """Return the rows that are not there: what an earlier test has recorded was rolled back with it."""
    from django_lifesigns.models import HealthCheckLog

    if not rows:
        return []
    names, times = {pending.row.check_name for pending in rows}, {pending.row.checked_at for pending in rows}
    logs: Any = HealthCheckLog.objects.using(using).filter(check_name__in=names, checked_at__in=times)
    known = set(logs.values_list("check_name", "checked_at"))
    return [pending for pending in rows if (pending.row.check_name, pending.row.checked_at) not in known]
