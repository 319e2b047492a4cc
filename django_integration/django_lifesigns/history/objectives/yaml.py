"""Writes nested dicts and lists as YAML: strings as JSON has them, which YAML reads, too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


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
                yield f"{indent}{key}: {json.dumps(item, ensure_ascii=False)}"
        return
    for item in value:
        if isinstance(item, Mapping):
            first, *rest = _lines(item, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {json.dumps(item, ensure_ascii=False)}"
