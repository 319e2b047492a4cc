"""The tests that need no server on every supported Python that is here: one wheel, made once, installed by all.

`make test-matrix` runs the session `tests`, `make first-use` the session `first_use`. With uv where it is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nox

# Each Python with the Django that is tested on it.
MATRIX = {"3.10": "5.2", "3.11": "5.2", "3.12": "6.0", "3.13": "6.1", "3.14": "6.1"}
# What needs no server is run in full on the oldest and the newest of both, and not again by the main run; the others
# get what differs between them most.
ALL = nox.project.load_toml("pyproject.toml")["tool"]["pytest"]["ini_options"]["matrix"]
SMOKE = [
    "tests/unit/test_asgi.py",
    "tests/unit/test_boundary.py",
    "tests/unit/test_callables.py",
    "tests/unit/test_engine.py",
    "tests/unit/test_packages.py",
    "tests/process/test_exit.py",
    "tests/django/test_admin.py",
    "tests/django/test_asgi.py",
    "tests/django/test_command.py",
    "tests/django/test_first_use.py",
    "tests/django/test_migrations.py",
    "tests/django/test_views.py",
]
# On the oldest Python is all that the main run has: not everything is there for the newest Django yet.
DEVELOPMENT = ["--requirement", "requirements-dev.txt"]
REQUIREMENTS = [
    "pytest",
    "pytest-django",
    "pytest-timeout",
    "pytest-xdist",
    "apprise",
    "boto3",
    "celery",
    "channels",
    "django-anymail",
    "django-celery-email",
    "django-mailer",
    "django-post-office",
    "django-ses",
    "httpx",
    "psycopg[binary,pool]",
    "redis",
    "rich",
    "trustme",
]
# Clients of Redis beside redis-py, and its releases: an old one with the Celery of its time, and the newest.
CLIENTS = ["channels-redis", "django-redis"]
REDIS = {"old": ["redis==5.2.1", "celery==5.5.*"], "newest": ["redis", "celery"]}
WHEELS = Path("target/wheels-dev")

nox.options.default_venv_backend = "uv|virtualenv"
# Unless NOX_DOWNLOAD_PYTHON=auto, an interpreter that is not here is left out, and named.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True
# The shims of pyenv fail for versions that are not selected: its interpreters themselves go before them.
_PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(_PYENV.glob("3.*/bin"))), os.environ["PATH"]])
_DOWNLOADS = os.environ.get("NOX_DOWNLOAD_PYTHON", "never") != "never"
_HERE = [version for version in MATRIX if _DOWNLOADS or shutil.which(f"python{version}")]
if not _HERE:
    raise SystemExit(f"None of Python {', '.join(MATRIX)} is here: what they run is in no other run of `make test`")
for _version in MATRIX:
    if _version not in _HERE:
        print(f"Left out: Python {_version} is not here", file=sys.stderr)


@cache
def wheel(maturin: Path) -> str:
    """Return the path of the engine's wheel, built as for the tests: what is compiled is not compiled again."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    # Not compressed, which takes longer than all else.
    subprocess.run(
        [maturin, "build", "--quiet", "--profile", "dev", "--compression-method", "stored", "--out", WHEELS], check=True
    )
    (path,) = WHEELS.glob("*.whl")
    return str(path)


def processes() -> str:
    """Return how many test processes there are: these tests wait little, and each process takes seconds to start."""
    most = os.cpu_count() or 1
    return str(min(most, int(os.environ.get("JOBS", most))))


def install(session: nox.Session, *packages: str) -> None:
    """Install both distributions, Django, and the packages."""
    django = MATRIX[str(session.python)]
    engine = wheel(Path(sys.executable).with_name("maturin"))
    session.install("--quiet", engine, "./django_integration", f"Django~={django}.0", *packages)


@nox.session(python=_HERE)
def tests(session: nox.Session) -> None:
    """Run the tests that need no server, or those that are named."""
    constraints = os.environ.get("CONSTRAINTS", "--constraint constraints.txt").split()
    oldest, newest = (session.python == _HERE[end] for end in (0, -1))
    install(session, *constraints, *(DEVELOPMENT if oldest else REQUIREMENTS))
    folders = ALL if oldest or newest else SMOKE
    parallel = ["--numprocesses", processes(), "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run("pytest", "--quiet", *parallel, "-m", "matrix", *(session.posargs or folders))


@nox.session(python=_HERE)
@nox.parametrize("redis", list(REDIS))
def first_use(session: nox.Session, redis: str) -> None:
    """Fail if a first sweep of as many fresh processes in each mode as the argument says does."""
    install(session, *REQUIREMENTS, *CLIENTS, *REDIS[redis])
    session.run("python", "-m", "tests.django.test_first_use", *session.posargs)
