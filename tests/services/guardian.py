"""Outlives the process that started services, ends what that one left running and removes its files.

PR_SET_PDEATHSIG would not do: it fires when the *thread* that started a server ends, is not passed on to PostgreSQL's
backends, does not reach stopped ones, and removes no files.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from tests.services import processes, shared_memory

END_SECONDS = 5.0


def main(parent: int, directory: Path) -> None:
    """Wait for the parent's end, or its word on standard input, then clean up."""
    with suppress(ProcessLookupError):  # it may have ended before this process came up
        descriptor = os.pidfd_open(parent)
        if os.getppid() == parent:
            # Standard input's end alone proves nothing: a forked child of the parent may hold the other end of it.
            select.select([descriptor, sys.stdin], [], [])
    clean(directory)


def clean(directory: Path) -> None:
    """End the services whose pid files are in `directory`, then remove it."""
    # Under another name, no server that was about to start finds the place for its pid file: it does not start.
    directory = directory.rename(f"{directory}-ending")
    for file in directory.glob("*/pid"):
        pid = int(file.read_text())
        if processes.works_in(pid, directory):  # else the pid was given to another process since
            processes.kill(pid)
    with suppress(TimeoutError):
        processes.wait_gone(processes.working_in(directory), END_SECONDS)  # initdb, psql: they end by themselves
    for data in directory.glob("*/data"):
        shared_memory.release(data)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
