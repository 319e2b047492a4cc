"""The page of the documentation that quotes the last accepted run of `make faults`."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/fault-matrix.md"
ACCEPT = "--accept"


def accept(section: str, text: str) -> None:
    """Put `text` in the place of what the page quotes of that section."""
    begin, end = f"<!-- {section} -->\n", f"\n<!-- end of {section} -->"
    before, opened, rest = PAGE.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{PAGE.name} has no section {section!r}")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")
