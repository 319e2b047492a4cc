"""Tables, live views and progress on a terminal: with `rich` where it is installed, and plain text otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from django.core.management.base import OutputWrapper

from django_lifesigns.history.reports.alignment import GAP, aligned

# A cell in the colours of Django, which have no width.
Paint = Callable[[int, int, str], str]


class Table:
    """Rows of text, the first of them the header; `paint` colours a cell of a row and column once it is aligned."""

    def __init__(self, rows: Sequence[Sequence[str]], right: Collection[int], paint: Paint) -> None:
        self.rows = rows
        self.right = right
        self.paint = paint

    def plain(self) -> str:
        """Return a line for each row, however long it is."""
        rows = aligned(self.rows, self.right)
        for cells in rows:
            cells[-1] = cells[-1].rstrip()
        return "\n".join(
            GAP.join(self.paint(place, column, cell) for column, cell in enumerate(cells)).rstrip()
            for place, cells in enumerate(rows)
        )

    def rich(self) -> Any:
        """Return the table of `rich`, which wraps long cells within their column."""
        from rich.table import Table as RichTable
        from rich.text import Text

        cells = [
            [Text.from_ansi(self.paint(place, column, cell)) for column, cell in enumerate(row)]
            for place, row in enumerate(self.rows)
        ]
        table = RichTable(box=None, show_header=False, padding=(0, len(GAP), 0, 0))
        last = len(self.rows[0]) - 1
        for column in range(last + 1):
            justify: Any = "right" if column in self.right else "left"
            table.add_column(justify=justify, no_wrap=column != last, overflow="fold")
        for row in cells:
            table.add_row(*row)
        return table


class Block:
    """Lines and tables to be shown together."""

    def __init__(self, *parts: str | Table) -> None:
        self.parts = parts

    def plain(self) -> str:
        """Return the block as text that is wrapped nowhere."""
        return "\n".join(part.plain() if isinstance(part, Table) else part for part in self.parts)

    def rich(self) -> Any:
        """Return the block as `rich` draws it."""
        from rich.console import Group
        from rich.text import Text

        return Group(*(part.rich() if isinstance(part, Table) else Text.from_ansi(part) for part in self.parts))


def show(out: OutputWrapper, block: Block) -> None:
    """Write a block: to a terminal fitted into its width, else each row in a line of its own."""
    if _has_rich() and out.isatty():
        _console(out).print(block.rich())
    else:
        out.write(block.plain())
        out.flush()


@contextmanager
def in_place(out: OutputWrapper, *, wanted: bool) -> Iterator[Callable[[Block], None] | None]:
    """Give what draws a block over the one before; None where that is not wanted, or cannot be done."""
    if not (wanted and _has_rich() and out.isatty()) or os.environ.get("TERM") in ("dumb", "unknown"):
        yield None
        return
    from rich.live import Live

    with Live(console=_console(out), auto_refresh=False) as screen:
        yield lambda block: screen.update(block.rich(), refresh=True)


@contextmanager
def progress(out: OutputWrapper, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of the work is done, on a terminal; give what is called with each part of it."""
    if not (_has_rich() and out.isatty()):
        yield lambda done: None
        return
    from rich.progress import Progress

    with Progress(console=_console(out), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def _has_rich() -> bool:
    return find_spec("rich") is not None


def _console(out: OutputWrapper) -> Any:
    from rich.console import Console

    file: Any = out  # writes and flushes like a file
    return Console(file=file, highlight=False)
