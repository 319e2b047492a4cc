"""Python environments with older releases of the packages, made by uv in the tests' temporary folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The oldest releases that are supported, and those in which django-tasks changed its table.
RELEASES = {
    "oldest": ["procrastinate==3.1.*", "django-q2==1.6.*", "django-tasks==0.5.*", "setuptools<81"],
    "django-tasks 0.7": ["django-tasks==0.7.*"],
    "django-tasks 0.11": ["django-tasks==0.11.*"],
    "django-tasks-db 0.12": ["django-tasks-db==0.12.*"],
}
DRIVERS = ["psycopg[binary]", "pymysql"]


class Environments:
    """Interpreters by the name of a release, each made at its first use; "newest" is the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def python(self, release: str) -> Path:
        if release == "newest":
            return Path(sys.executable)
        path = self._folder / release.replace(" ", "-")
        python = path / "bin" / "python"
        if not python.exists():
            self._uv("venv", "--python", sys.executable, str(path))
            self._uv("pip", "install", "--python", str(python), "Django==5.2.*", *DRIVERS, *RELEASES[release])
        return python

    def _uv(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "uv", "--quiet", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
