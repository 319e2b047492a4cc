"""The page of the documentation that quotes the last accepted run of `make faults`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/fault-matrix.md"
ACCEPT = "--accept"
# In the last column of a row that broke no bound.
KEPT = "kept"
COUNT = re.compile(r"^\d+ cells; \d+ broke a bound\.", re.MULTILINE)


def accept_rows(section: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Put rows into the table of that section, in the place of those of the same first two columns, or at its end."""
    _, _, rest = PAGE.read_text().partition(f"<!-- {section} -->\n")
    new = {row[:2]: f"| {' | '.join(row)} |" for row in rows}
    lines = rest.partition(f"\n<!-- end of {section} -->")[0].strip().splitlines()
    kept = [new.pop(_key(line), line) for line in lines]
    accept(section, with_count("\n".join([*kept, *new.values()])))


def with_count(text: str) -> str:
    """Return a table and what is said of it with the number of its rows, and of those that broke a bound."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    broken = sum(row[-1] != KEPT for row in cells)
    return COUNT.sub(f"{len(cells)} cells; {broken} broke a bound.", text, count=1)


def _key(line: str) -> tuple[str, ...]:
    """Return the first two columns of a row."""
    return tuple(line.strip("| ").split(" | ")[:2])


def accept(section: str, text: str) -> None:
    """Put `text` in the place of what the page quotes of that section."""
    begin, end = f"<!-- {section} -->\n", f"\n<!-- end of {section} -->"
    before, opened, rest = PAGE.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{PAGE.name} has no section {section!r}")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")
