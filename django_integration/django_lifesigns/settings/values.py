"""The kinds of values that settings have: each reads one, and a ValueError says what it must be."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, TypeVar

from django_lifesigns.settings.problems import WRONG_VALUE, Problem, nearest_of

Value = TypeVar("Value")

# The callers on a Unix socket, which have no address.
UNIX: Literal["unix"] = "unix"
Proxy = IPv4Network | IPv6Network | Literal["unix"]

# How settings of the environment say it.
_YES = ("1", "t", "true", "y", "yes", "on")
_NO = ("0", "f", "false", "n", "no", "off")
_NUMBER = re.compile(r"\s*\d{1,20}(?:\.\d{0,20})?\s*")


class WrongValueError(ValueError):
    """A value is wrong: what it must be, what of it is wrong, if that is a part of it, and what may be meant.

    None of the three quotes a value: a token in the wrong place must not end up in a log.
    """

    def __init__(self, must: str, part: str = "", meant: str = "") -> None:
        super().__init__(must)
        self.part = part
        self.meant = meant

    def problem(self, where: str, value: object, *, loses_checks: bool = False) -> Problem:
        """Return what `manage.py check` says of a value in that place."""
        # Only numbers are shown: a token in the wrong place must not end up in a log.
        shown = str(value) if isinstance(value, (int, float)) else f"a value of type {type(value).__name__}"
        what = f": {self.part}" if self.part else f", not {shown}"
        return Problem(WRONG_VALUE, f"{where} {self}{what}.", self.meant or f"Correct {where}.", loses_checks)


def by_name(of: str) -> Callable[[object], Mapping[str, object]]:
    def read(value: object) -> Mapping[str, object]:
        raise WrongValueError(f"must be a dict with names of {of} as keys")

    return read


def strings(value: object, must: str = "must be a list of strings") -> tuple[str, ...]:
    if isinstance(value, str):
        raise WrongValueError(must, "it is one string", "Write it in brackets, as the only item of a list.")
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise WrongValueError(must)
    _each_is_text(value, must)
    return tuple(value)


def _each_is_text(values: Iterable[object], must: str, what: str = "item") -> None:
    for number, item in enumerate(values, 1):
        if not isinstance(item, str):
            raise WrongValueError(must, f"{what} {number} is of type {type(item).__name__}")


def _each(value: object, must: str, read: Callable[[str], Value], what: str) -> list[Value]:
    """Return what `read` makes of each string of a list; the first that it refuses is named by its place."""
    found = []
    for number, text in enumerate(strings(value, must), 1):
        try:
            found.append(read(text))
        except ValueError as error:
            raise WrongValueError(must, f"item {number} is {what}") from error
    return found


def names(value: object) -> frozenset[str]:
    return frozenset(strings(value, "must be a list of names of checks"))


def names_or_all(value: object) -> frozenset[str] | Literal["all"]:
    must = "must be 'all' or a list of names of checks"
    if not isinstance(value, str):
        return frozenset(strings(value, must))
    if value != "all":
        raise WrongValueError(must, "it is a string, but not 'all'", nearest_of(value, ["all"]))
    return "all"


def seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise WrongValueError("must be a number of seconds above 0", *_quoted_number(value))


def count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise WrongValueError("must be a whole number from 0", *_quoted_number(value))


def _quoted_number(value: object) -> tuple[str, str]:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return "it is a number in quotes", "Leave out the quotes, or convert it: float(os.environ[...])."
    return "", ""


def url(value: object) -> str:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value
    raise WrongValueError("must be a URL that begins with https:// or http://")


def flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    meant = ""
    if value in (0, 1) or (isinstance(value, str) and value.strip().lower() in (*_YES, *_NO)):
        meant = f"Did you mean {not is_off(value)}?"
    raise WrongValueError("must be True or False", meant=meant)


def is_off(value: object) -> bool:
    """Return whether a value of other people's settings, which may be text of the environment, means no."""
    return not value or (isinstance(value, str) and value.strip().lower() in _NO)


def one_of(*words: str, but: str = "") -> Callable[[object], str]:
    """Reads one of these words; `but` is said beside."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        known = ", ".join(repr(word) for word in words[:-1])
        must = f"must be {known} or {words[-1]!r}{but}"
        if isinstance(value, str):
            raise WrongValueError(must, "it is none of these", nearest_of(value, words))
        raise WrongValueError(must)

    return read


def directory(value: object) -> str:
    if isinstance(value, (str, os.PathLike)) and os.path.isabs(path := os.fsdecode(value)):
        return path
    # Each process of the project has a working directory of its own.
    raise WrongValueError("must be the absolute path of a directory")


def tokens(value: object) -> tuple[str, ...]:
    must = "must be a list of tokens of printable ASCII characters without spaces"
    return tuple(_each(value, must, _token, "empty, or has another character"))


def _token(text: str) -> str:
    # An empty one would let everybody in; others cannot be sent as a header.
    if not (text.isascii() and text.isprintable() and text and " " not in text):
        raise ValueError
    return text


def networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    must = "must be a list of networks ('10.0.0.0/8', 'fd00::/8') or addresses"
    return tuple(_each(value, must, _network, "neither"))


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def proxies(value: object) -> tuple[Proxy, ...]:
    must = "must be a list of the networks of your proxies ('10.0.0.0/8') or 'unix'"
    # Of a number, a caller that reaches the port directly could write any address.
    found = _each(value, must, lambda text: UNIX if text == UNIX else _network(text), "neither")
    return (*(proxy for proxy in found if proxy != UNIX), *([UNIX] if UNIX in found else []))


def task_queue(value: object) -> object:
    if isinstance(value, (str, Mapping)):
        return value
    raise WrongValueError("must be the name of a preset or a dict")


def options(value: object) -> Mapping[object, object]:
    if isinstance(value, Mapping):
        return value
    raise WrongValueError("must be a dict")
