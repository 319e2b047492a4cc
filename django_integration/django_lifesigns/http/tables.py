"""Values of an answer as tables: keys and values, or rows with columns where the values are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from django_lifesigns.history.json_text import to_json
from django_lifesigns.http.words import Moment, label, moment_of

NOTHING = "-"
# Tables in tables, rows of one, and characters of a value: a check may return what it likes.
DEEPEST, MOST_ROWS, LONGEST = 4, 500, 10_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: a text, a time, or a table of its own."""

    text: str = ""
    at: Moment | None = None
    table: Table | None = None
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """The name of a row, empty where rows have none, and its cells."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows; without columns they are pairs of a name and a value."""

    rows: tuple[TableRow, ...]
    columns: tuple[str, ...] = ()
    # How many rows there are beyond those that are shown.
    more: int = 0

    @property
    def has_names(self) -> bool:
        """Whether the rows have names."""
        return any(row.name for row in self.rows)


def table_of(value: Mapping[str, Any] | Sequence[Any], now: datetime, depth: int = 0) -> Table:
    """Return the table of a mapping or a list."""
    named = isinstance(value, Mapping)
    items = list(value.items()) if isinstance(value, Mapping) else [("", item) for item in value]
    shown = items[:MOST_ROWS]
    columns = _columns([item for _, item in shown])
    if columns:
        rows = [TableRow(str(name), tuple(cell(item[key], now, depth + 1) for key in columns)) for name, item in shown]
    else:
        rows = [TableRow(label(str(name)) if named else "", (cell(item, now, depth + 1),)) for name, item in shown]
    return Table(tuple(rows), tuple(label(str(key)) for key in columns), len(items) - len(shown))


def cell(value: object, now: datetime, depth: int = 0) -> Cell:
    """Return the cell of any value."""
    if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and not _is_plain(value)):
        if not value:
            return Cell(NOTHING)
        return Cell(table=table_of(value, now, depth)) if depth < DEEPEST else Cell(_cut(to_json(value)))
    if isinstance(value, (list, tuple)):
        return Cell(_cut(", ".join(map(_text, value))) or NOTHING)
    if isinstance(value, datetime):
        value = value.isoformat()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(_cut(_text(value)), moment_of(value, now), is_number=is_number)


def _columns(items: Sequence[Any]) -> list[Any]:
    """Return the keys of items that have all the same ones, and more than one of these; else none."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return []
    keys = list(items[0])
    return keys if len(keys) > 1 and all(item.keys() == items[0].keys() for item in items) else []


def _is_plain(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, (Mapping, list, tuple)) for value in values)


def _text(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
