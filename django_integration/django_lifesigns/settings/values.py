"""The kinds of values that settings have: each reads one, and a ValueError says what it must be."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, cast

# The callers on a Unix socket, which have no address.
UNIX: Literal["unix"] = "unix"
Proxy = IPv4Network | IPv6Network | Literal["unix"]


def mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return cast("Mapping[str, object]", value)
    raise ValueError("must be a dict with names of checks as keys")


def strings(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("must be a list of strings")


def names(value: object) -> frozenset[str]:
    return frozenset(strings(value))


def names_or_all(value: object) -> frozenset[str] | Literal["all"]:
    return "all" if value == "all" else names(value)


def seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise ValueError("must be a number of seconds above 0")


def count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("must be a whole number from 0")


def url(value: object) -> str:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value
    raise ValueError("must be a URL that begins with https:// or http://")


def flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be True or False")


def is_off(value: object) -> bool:
    """Return whether a value of other people's settings, which may be text of the environment, means no."""
    return not value or (isinstance(value, str) and value.strip().lower() in ("0", "f", "false", "n", "no", "off"))


def one_of(*words: str, but: str = "") -> Callable[[object], str]:
    """Reads one of these words; `but` is said beside."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        known = ", ".join(repr(word) for word in words[:-1])
        raise ValueError(f"must be {known} or {words[-1]!r}{but}")

    return read


def directory(value: object) -> str:
    if isinstance(value, (str, os.PathLike)) and os.path.isabs(path := os.fsdecode(value)):
        return path
    # Each process of the project has a working directory of its own.
    raise ValueError("must be the absolute path of a directory")


def addresses(value: object) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else strings(value)
    if all(_is_address(address) for address in listed):
        return listed
    raise ValueError("must be '127.0.0.1:9464', '[::1]:9464', '0.0.0.0:9464' or 'unix:/path', or a list of such")


def _is_address(text: str) -> bool:
    if text.startswith("unix:"):
        return text.startswith("unix:/")
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    # Not 0, of which every worker would make another one.
    return bracketed == (address.version == 6) and port.isascii() and port.isdigit() and 0 < int(port) < 65_536


def tokens(value: object) -> tuple[str, ...]:
    tokens = strings(value)
    # An empty one would let everybody in; others cannot be sent as a header.
    if not all(token.isascii() and token.isprintable() and token and " " not in token for token in tokens):
        raise ValueError("must be a list of tokens of printable ASCII characters without spaces")
    return tokens


def networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(network, strict=False) for network in strings(value))
    except ValueError as error:
        raise ValueError("must be a list of networks ('10.0.0.0/8', 'fd00::/8') or addresses") from error


def proxies(value: object) -> tuple[Proxy, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        # Of a number, a caller that reaches the port directly could write any address.
        raise ValueError("must be a list of the networks of your proxies ('10.0.0.0/8') or 'unix'")
    listed = strings(value)
    found = networks([text for text in listed if text != UNIX])
    return (*found, *([UNIX] if UNIX in listed else []))


def task_queue(value: object) -> object:
    if isinstance(value, (str, Mapping)):
        return value
    raise ValueError("must be the name of a preset or a dict")
