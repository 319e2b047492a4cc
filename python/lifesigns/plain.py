"""Turns the details of a callable into plain JSON data of bounded size, without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifesigns import redaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_VALUES = 2_000
MAX_TEXT = 65_536
MAX_DEPTH = 8
# Of all but tab and the ends of lines: in a terminal or a log they do more than to be read.
CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160)], "\ufffd")


class TooLargeError(ValueError):
    """More than a result may hold."""


def plain(value: Any) -> Any:
    """Copy `value` into dicts, lists, strings, numbers, bools and None, with secrets masked.

    Other types are shown by `str`. Raises `TooLargeError` past 2,000 values, 65,536 characters or a depth of 8, before
    more than that was copied.
    """
    return _Copy().copy(value, 0)


def is_text(value: object) -> bool:
    """Return whether it is a str or stands for one, as a translation does that is made when it is shown."""
    return hasattr(value, "casefold")


def line(text: str) -> str:
    """Return the text in one line: whoever has written it, a server for example, writes no second one of a log."""
    return " ".join(text.split())


def clean(text: str) -> str:
    """Return the text without control characters, and without lone surrogates (from undecodable file names)."""
    return text.encode("utf-8", "replace").decode().translate(CONTROLS)


class _Copy:
    def __init__(self) -> None:
        self.values = MAX_VALUES
        self.text = MAX_TEXT

    def copy(self, value: Any, depth: int) -> Any:
        self.values -= 1
        if self.values < 0:
            raise TooLargeError(f"more than {MAX_VALUES} values")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**63 else self.string(hex(value))
        if isinstance(value, float):
            # JSON knows no infinity and no NaN.
            return float(value) if value - value == 0 else str(value)
        if depth > MAX_DEPTH:
            raise TooLargeError(f"more than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            return {self.string(key): self.item(key, item, depth + 1) for key, item in value.items()}
        if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)) and not is_text(value):
            return [self.copy(item, depth + 1) for item in value]
        return self.string(value)

    def item(self, key: Any, value: Any, depth: int) -> Any:
        secret = isinstance(key, str) and isinstance(value, (str, bytes)) and redaction.is_secret(key)
        return redaction.MASK if secret else self.copy(value, depth)

    def string(self, value: Any) -> str:
        text = value if isinstance(value, str) else str(value)
        self.text -= len(text)
        if self.text < 0:
            raise TooLargeError(f"more than {MAX_TEXT} characters")
        return redaction.redact(clean(text))
