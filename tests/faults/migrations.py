"""A further database whose migrations are looked at, with a client that gives up within two seconds."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.services import Postgres

if TYPE_CHECKING:
    from tests.faults.project import Project

ALIAS = "archive"
# libpq waits for as long as TCP does, which is minutes; for less than two seconds it does not wait.
LIMITS = {"connect_timeout": 2, "tcp_user_timeout": 1000}


def database(server: Postgres) -> dict[str, object]:
    """Return the entry of `DATABASES`."""
    return {**server.database(engine="django.db.backends.postgresql"), "OPTIONS": LIMITS}


def migrate(project: Project) -> None:
    """Apply all migrations to it; the sessions' table is there already."""
    options = ("--database", ALIAS, "--fake-initial", "--verbosity", "0")
    command = project.command(sys.executable, "-m", "django", "migrate", *options)
    subprocess.run(command, cwd=project.directory, env=project.environment(), check=True, timeout=60)
