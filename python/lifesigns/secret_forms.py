"""The forms in which a known secret may stand in a text: as it is, escaped by JSON, Python, URLs or HTML, in base64."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Backslashes before an escape: JSON in JSON, and that in the `repr` of an exception, double them each time.
_ESCAPES = r"\\{1,8}"
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f", "\v": "v", "\0": "0"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# Shorter pieces of base64 are found by chance.
_SHORTEST_BASE64 = 8
_RUNS = re.compile(r"\\+|[^\\]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")


def mask_secrets(text: str, secrets: frozenset[str], mask: str) -> str:
    """Return the text without these, in whatever form. In base64 they may be a part, as in ``user:password``."""
    text = _pattern(secrets).sub(mask, text)
    pieces = _pieces_of_base64(secrets)
    return _BASE64.sub(lambda found: mask if any(piece in found[0] for piece in pieces) else found[0], text)


@lru_cache(1)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Return a pattern of all these; the longest first, since one may be part of another."""
    return re.compile("|".join(map(_forms, sorted(secrets, key=len, reverse=True))))


def _forms(secret: str) -> str:
    """Return a pattern of a secret: each character as it is or in any of its escapes: encoders differ in them."""
    pattern = "".join(_character(run[0], len(run)) for run in _RUNS.findall(secret))
    return rf"(?<!\w){pattern}(?!\w)" if secret.isalpha() else pattern


@lru_cache(1_024)
def _character(character: str, count: int) -> str:
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    alternatives = [*_escaped(character, code), *_of_html(character, code), _of_url(character)]
    if character == "\\":  # several in a row are one repetition: else there would be many ways to match them
        longer = rf"\\{{{count},{8 * count}}}"
        return f"(?:{longer}|(?:{'|'.join(alternatives)}){{{count}}})"
    return f"(?:{'|'.join(alternatives)})"


def _escaped(character: str, code: int) -> Iterator[str]:
    """Yield the escapes of JSON and of Python: of the character, or of its bytes, as in the `repr` of bytes."""
    if character != "\\":
        # One that needs no escape may have one: JSON's solidus, a quote in another's quotes.
        yield rf"\\{{0,8}}{re.escape(character)}"
    if short := _SHORT_ESCAPES.get(character):
        yield f"{_ESCAPES}{short}"
    units = character.encode("utf-16-be", "surrogatepass").hex()
    yield "".join(f"{_ESCAPES}u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    yield "".join(f"{_ESCAPES}x(?i:{byte:02x})" for byte in _bytes(character))
    if 0x80 <= code < 0x100:
        yield f"{_ESCAPES}x(?i:{code:02x})"
    if code > 0xFFFF:
        yield f"{_ESCAPES}U(?i:{code:08x})"


def _of_html(character: str, code: int) -> Iterator[str]:
    if name := _ENTITIES.get(character):
        yield f"&{name};"
    yield f"&#0{{0,4}}{code};"
    yield f"&#[xX]0{{0,4}}(?i:{code:x});"


def _of_url(character: str) -> str:
    # Twice, too: a URL in the query of another one.
    encoded = "".join(f"%(?:25){{0,2}}(?i:{byte:02x})" for byte in _bytes(character))
    return rf"{encoded}|\+" if character == " " else encoded


@lru_cache(1)
def _pieces_of_base64(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return what is the same in base64 whatever stands before and after a secret, in both alphabets."""
    pieces: set[str] = set()
    for secret in secrets:
        for offset in range(3):
            encoded = b64encode(b"\0" * offset + _bytes(secret)).decode()
            # The first characters have bits of what stands before, the last one of what stands behind.
            end = (offset + len(_bytes(secret))) * 8 // 6
            piece = encoded[(offset * 8 + 5) // 6 : end]
            if len(piece) >= _SHORTEST_BASE64:
                pieces |= {piece, piece.replace("+", "-").replace("/", "_")}
    return tuple(pieces)


def _bytes(text: str) -> bytes:
    # The environment may have bytes that are no text.
    return text.encode("utf-8", "surrogatepass")
