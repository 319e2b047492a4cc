"""The `LIFESIGNS` settings, typed: what is left out or wrong has its default, and what is wrong is a problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, cast

from django.conf import settings

from django_lifesigns.catalogue import CATALOGUE
from django_lifesigns.problems import NOT_SUPPORTED_YET, UNKNOWN_CHECK, UNKNOWN_KEY, WRONG_VALUE, Problem, did_you_mean
from lifesigns import declared


@dataclass(frozen=True, kw_only=True, slots=True)
class Conf:
    """One attribute for each key, in lower case. Times are in seconds."""

    checks: Mapping[str, object] = field(repr=False)
    disabled: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    default_timeout: float = 5.0
    default_ttl: float = 30.0
    ready_budget: float = 0.8
    ready_max_age: float = 5.0
    max_stale: float = 60.0
    show_details: Literal["authorized", "always", "never"] = "authorized"
    tokens: tuple[str, ...] = field(default=(), repr=False)
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    trusted_proxies: int = 0
    task_queue: str | Mapping[str, object] | None = field(default=None, repr=False)
    postgresql_functions: tuple[str, ...] | None = None
    materialized_views: tuple[str, ...] = ()
    expected_workers: int = 1
    google_maps_base_url: str | None = None
    problems: tuple[Problem, ...] = ()


def read() -> Conf:
    """The settings as they are now."""
    return parse(getattr(settings, "LIFESIGNS", {}))


def parse(raw: object) -> Conf:
    """The typed form of a `LIFESIGNS` dict."""
    if not isinstance(raw, Mapping):
        return Conf(checks={}, problems=(_wrong("LIFESIGNS", "must be a dict", raw),))
    problems: list[Problem] = []
    values: dict[str, object] = {"checks": {}}
    for key, value in raw.items():
        if key in READERS:
            try:
                if value is not None:
                    values[key.lower()] = READERS[key](value)
            except ValueError as error:
                problems.append(_wrong(f"LIFESIGNS[{key!r}]", str(error), value))
        elif key in LATER:
            message = f"LIFESIGNS[{key!r}] has no effect in this version."
            problems.append(Problem(NOT_SUPPORTED_YET, message, "Remove it."))
        else:
            hint = did_you_mean(str(key), READERS.keys() | LATER)
            problems.append(Problem(UNKNOWN_KEY, f"LIFESIGNS has an unknown key {key!r}.", hint))
    conf = Conf(**values)  # type: ignore[arg-type]
    if conf.default_ttl > conf.max_stale:
        limit = f"must not exceed MAX_STALE ({conf.max_stale:g} s)"
        problems.append(_wrong("LIFESIGNS['DEFAULT_TTL']", limit, conf.default_ttl))
        conf = replace(conf, default_ttl=conf.max_stale)
    return replace(conf, problems=(*problems, *_unknown_checks(conf)))


def _unknown_checks(conf: Conf) -> list[Problem]:
    known = CATALOGUE.keys() | conf.checks.keys() | declared.CHECKS.keys()
    return [
        Problem(UNKNOWN_CHECK, f"LIFESIGNS[{key!r}] names an unknown check {name!r}.", did_you_mean(name, known))
        for key, names in (("DISABLED", conf.disabled), ("REQUIRED", conf.required))
        for name in sorted(names - known)
    ]


def _wrong(where: str, what: str, value: object) -> Problem:
    # Only numbers are shown: a token in the wrong place must not end up in a log.
    shown = str(value) if isinstance(value, (int, float)) else f"a value of type {type(value).__name__}"
    return Problem(WRONG_VALUE, f"{where} {what}, not {shown}.", f"Correct {where}.")


def _mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return cast("Mapping[str, object]", value)
    raise ValueError("must be a dict with names of checks as keys")


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("must be a list of strings")


def _names(value: object) -> frozenset[str]:
    return frozenset(_strings(value))


def _names_or_all(value: object) -> frozenset[str]:
    return frozenset(CATALOGUE) if value == "all" else _names(value)


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    raise ValueError("must be a number of seconds above 0")


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("must be a whole number from 0")


def _url(value: object) -> str:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value
    raise ValueError("must be a URL that begins with https:// or http://")


def _show_details(value: object) -> str:
    if isinstance(value, str) and value in ("authorized", "always", "never"):
        return value
    raise ValueError("must be 'authorized', 'always' or 'never'")


def _tokens(value: object) -> tuple[str, ...]:
    tokens = _strings(value)
    # An empty one would let everybody in; others cannot be sent as a header.
    if not all(token.isascii() and token.isprintable() and token and " " not in token for token in tokens):
        raise ValueError("must be a list of tokens of printable ASCII characters without spaces")
    return tokens


def _networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(network, strict=False) for network in _strings(value))
    except ValueError as error:
        raise ValueError("must be a list of networks ('10.0.0.0/8', 'fd00::/8') or addresses") from error


def _task_queue(value: object) -> object:
    if isinstance(value, (str, Mapping)):
        return value
    raise ValueError("must be the name of a preset or a dict")


READERS: dict[str, Callable[[object], object]] = {
    "CHECKS": _mapping,
    "DISABLED": _names,
    "REQUIRED": _names_or_all,
    "DEFAULT_TIMEOUT": _seconds,
    "DEFAULT_TTL": _seconds,
    "READY_BUDGET": _seconds,
    "READY_MAX_AGE": _seconds,
    "MAX_STALE": _seconds,
    "SHOW_DETAILS": _show_details,
    "TOKENS": _tokens,
    "NETWORKS": _networks,
    "TRUSTED_PROXIES": _count,
    "TASK_QUEUE": _task_queue,
    "POSTGRESQL_FUNCTIONS": _strings,
    "MATERIALIZED_VIEWS": _strings,
    "EXPECTED_WORKERS": _count,
    "GOOGLE_MAPS_BASE_URL": _url,
}

# Keys of the contract whose features are not there yet.
LATER = frozenset(
    [
        "SHARE",
        "STORE_PATH",
        "BACKGROUND",
        "PROBE_SERVER",
        "WEDGED_AFTER",
        "ALIVE_REQUIRES",
    ]
)
