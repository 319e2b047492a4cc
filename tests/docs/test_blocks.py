"""The blocks of the documentation that are not Python: they parse, and name programs and queries that there are."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.process.prometheus import promtool
from tests.services.workspace import PROJECT

PAGES = [
    *sorted((PROJECT / "docs").glob("**/*.md")),
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "django_integration/README.md")),
]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


def shell(text: str) -> None:
    """Have the shell parse it; of a console, the lines after a prompt with what continues them."""
    lines, continued = [], False
    for line in text.splitlines():
        if "\n$ " in f"\n{text}" and not continued and not line.startswith("$ "):
            continue
        lines.append(line.removeprefix("$ "))
        continued = line.endswith("\\")
    done = subprocess.run(["bash", "-n"], input="\n".join(lines), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def ini(text: str) -> None:
    configparser.RawConfigParser(strict=False, comment_prefixes="#").read_string(text)


PARSERS: dict[str, Callable[[str], object]] = {
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "json": json.loads,
    "ini": ini,
    "sh": shell,
    "bash": shell,
    "console": shell,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_page__its_other_blocks_parse(page: Path) -> None:
    for block in BLOCK.finditer(page.read_text()):
        if parse := PARSERS.get(block["language"]):
            parse(textwrap.dedent(block["text"]))


@pytest.mark.services
def test_prometheus_page__its_queries_are_valid(tmp_path: Path) -> None:
    page = (PROJECT / "docs/guides/prometheus.md").read_text()
    queries = re.findall(r"^\| [^|]+\? \| `([^`]+)` \|$", page, re.MULTILINE)
    assert len(queries) == 5
    rules = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "page", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "queries.yml")
