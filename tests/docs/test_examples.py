"""The examples of the pages below `docs/`: each block of Python is run, in its order, in one process for each page.

- A block with a title is written to a file of that name; one named `test_...` is run by pytest.
- `<!-- check ... -->` is Python that runs at its place, and is not shown.
- `<!-- not run: why -->` before a block leaves it out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.workspace import PROJECT

PAGES = sorted((PROJECT / "docs").glob("**/*.md"))
BLOCK = re.compile(
    r'(?P<left_out><!-- not run: [^\n]+ -->\n)?^```python(?: title="(?P<title>[\w./]+)")?\n(?P<code>.*?)^```$'
    r"|^<!-- check\n(?P<check>.*?)^-->$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?P<page>[\w/.-]+\.md)?(?:#(?P<part>[\w-]+))?\)")
SECONDS = 120


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PROJECT)])}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__its_examples_run(page: Path, tmp_path: Path) -> None:
    program, tests = "", []
    text = page.read_text()
    for block in BLOCK.finditer(text):
        if block["left_out"]:
            continue
        if block["title"]:
            (tmp_path / block["title"]).write_text(block["code"])
            if block["title"].startswith("test_"):
                tests.append(block["title"])
            else:
                program += f"import {Path(block['title']).stem}\n"
        else:
            program += block["check"] or block["code"]
    assert len(BLOCK.findall(text)) == text.count("\n```python") + text.count("\n<!-- check\n")
    done = run(tmp_path, "-W", "error", "-c", program)
    assert done.returncode == 0, done.stderr
    for name in tests:
        done = run(tmp_path, "-m", "pytest", "-q", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", name)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__its_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text()):
        target = page.parent / link["page"] if link["page"] else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        parts = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert link["part"] is None or link["part"] in parts, link[0]
