"""What it takes to import `lifesigns`, to set up Django with `django_lifesigns`, and to install the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
import django
from django.conf import settings
apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
settings.configure(INSTALLED_APPS=[*apps, {app}], SECRET_KEY="x", USE_TZ=True)
django.setup()
"""
PROGRAMS = {
    "bare": "pass",
    "imported": "import lifesigns",
    "without": SETTINGS.format(app=""),
    "with": SETTINGS.format(app='"django_lifesigns"'),
}


class Start(NamedTuple):
    """Milliseconds: a bare interpreter's start, what the import adds, and what the app adds to `django.setup()`."""

    bare: float
    imported: float
    setup: float


def start(times: int) -> Start:
    """Medians of the differences between fresh interpreters, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as bytecode:
        # Compiled once, as an installed package is, whatever the environment says.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(times + 1):  # the first one compiles, and is left out
            for name, program in PROGRAMS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment)
                taken[name].append(1000 * (time.perf_counter() - began))

    def added(more: str, less: str) -> float:
        return median(one - other for one, other in zip(taken[more][1:], taken[less][1:], strict=True))

    return Start(median(taken["bare"][1:]), added("imported", "bare"), added("with", "without"))


def wheel_bytes() -> int:
    """Size of the wheel, built as it is published; quick after the release build."""
    with tempfile.TemporaryDirectory() as directory:
        maturin = str(Path(sys.executable).with_name("maturin"))
        command = [maturin, "build", "--release", "--quiet", "--compression-level", "9", "--out", directory]
        built = subprocess.run(command, cwd=ROOT, env={**os.environ, "VIRTUAL_ENV": sys.prefix}, stderr=subprocess.PIPE)
        if built.returncode:
            raise SystemExit(built.stderr.decode())
        (wheel,) = Path(directory).glob("*.whl")
        return wheel.stat().st_size
