"""JSON of what is known: one encoder, Django's, for answers, pages, reports, commands and the admin."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder


def to_json(value: object, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """Return a value as JSON; with `ascii_only` for whichever encoding it is written in."""
    encoder = _COMPACT if indent is None and ascii_only else DjangoJSONEncoder(indent=indent, ensure_ascii=ascii_only)
    return encoder.encode(value)


# Made once: answers to probes are many.
_COMPACT = DjangoJSONEncoder()
