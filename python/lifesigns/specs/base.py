"""What every specification is: plain data for the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from os import PathLike, fspath
from typing import ClassVar

StrPath = str | PathLike[str]


class Value:
    """Part of a specification."""

    __slots__ = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain data for the engine; what is `None` is left out."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in values.items() if value is not None}


class Spec(Value):
    """A native check: what is to be checked, without how often or how long."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, **super().to_dict()}


def _plain(value: object, depth: int = 32) -> object:
    if not depth:  # deeper than any specification: it contains itself, which the engine refuses
        return value
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(name): _plain(item, depth - 1) for name, item in value.items()}
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item, depth - 1) for item in value]
    return value
