"""Gives back the shared memory segment, 56 bytes, of a PostgreSQL server that was killed."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path


def release(data: Path) -> None:
    """Remove the segment that the data directory's pid file names, if that was left; the server must be dead."""
    with suppress(FileNotFoundError):
        segment = re.search(r"^ *\d+ +(\d+) *$", (data / "postmaster.pid").read_text(), re.MULTILINE)
        if segment:
            subprocess.run(["ipcrm", "--shmem-id", segment[1]], check=False, capture_output=True)
