"""Aligns the cells of a table that is plain text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

GAP = "  "


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[list[str]]:
    """Return the cells of each row padded to the width of their column.

    Nothing is wrapped or cut: a row is one line for `grep` and `awk`.

    Args:
        rows: of equal length.
        right: the columns, from 0, that are aligned to the right.
    """
    columns = [
        [cell.rjust(width) if place in right else cell.ljust(width) for cell in column]
        for place, column in enumerate(zip(*rows, strict=True))
        for width in [max(map(len, column))]
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def lines(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return a line for each row, without spaces at its end."""
    return [GAP.join(row).rstrip() for row in aligned(rows, right)]
