"""Writes nested dicts and lists as YAML: strings as JSON has them, which YAML reads, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django_lifesigns.history.json_text import to_json


def dump(value: Any) -> str:
    """Return a document."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, (Mapping, list)) and item:
                yield f"{indent}{key}:"
                yield from _lines(item, f"{indent}  ")
            else:
                yield f"{indent}{key}: {to_json(item, ascii_only=False)}"
        return
    for item in value:
        if isinstance(item, Mapping):
            first, *rest = _lines(item, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {to_json(item, ascii_only=False)}"
