"""Times, memory and plans, a line each."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

RUNS = 7
# What takes longer is measured once.
SLOW_SECONDS = 2.0


def milliseconds(function: Callable[[], object]) -> str:
    """The median of some runs after one that warms up."""
    times: list[float] = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
        if times[0] > SLOW_SECONDS:
            break
    return f"{1000 * statistics.median(times[1:] or times):10.1f} ms"


def show(what: str, function: Callable[[], object], *queries: Any) -> None:
    """The time of what it is, and the plans of its queries."""
    print(f"{milliseconds(function)}  {what}", flush=True)
    for query in queries:
        for line in query.explain(analyze=True).splitlines():
            if "->" in line or "Scan" in line or "Cond" in line or line.startswith(("Limit", "Aggregate", "Execution")):
                print(f"               {line}")


def count_queries(what: str, function: Callable[[], object]) -> None:
    """How many queries of the default database it takes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        function()
    print(f"{len(captured):10} queries: {what}", flush=True)


def usage(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and most MiB of memory, of a process that does this."""
    from django.db import connection

    connection.close()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        function()
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_maxrss / 1024


def command(what: str, name: str, *arguments: str) -> None:
    """Time and memory of a command, beside the memory of a process that does nothing."""
    from django.core.management import call_command

    _, nothing = usage(lambda: None)
    seconds, memory = usage(lambda: call_command(name, *arguments, stdout=StringIO()))
    text = f"{name}, {what}: {memory - nothing:.0f} MiB more than the {nothing:.0f} MiB of nothing"
    print(f"{seconds:10.2f} s   {text}", flush=True)
