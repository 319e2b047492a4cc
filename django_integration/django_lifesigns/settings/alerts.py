"""`LIFESIGNS["ALERTS"]`, piece by piece: what has a wrong form is left out, so that the rest alerts all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django_lifesigns.settings.problems import UNKNOWN_KEY, Problem, did_you_mean
from django_lifesigns.settings.values import WrongValueError

WHERE = "LIFESIGNS['ALERTS']"
# What the engine reads by itself.
OPTIONS = frozenset(
    ["APPLICATION", "FAILURES", "PING_URL", "REMINDER", "RETRIES", "SECONDS", "SUCCESSES", "TIMEOUT", "URL"]
)
LISTS = ("ROUTES", "MAINTENANCE")
KEYS = OPTIONS | {"CHANNELS", *LISTS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Alerts:
    """What is configured, each piece by the place where it stands in the settings."""

    channels: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    routes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    maintenance: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()


def parse(raw: Mapping[object, object]) -> Alerts:
    """Return the pieces that have the right form. What is in them the engine says, one piece at a time."""
    problems = list(_unknown_keys(raw))
    lists = {key: _dicts(key, raw.get(key), problems) for key in LISTS}
    return Alerts(
        channels=_channels(raw.get("CHANNELS"), problems),
        routes=lists["ROUTES"],
        maintenance=lists["MAINTENANCE"],
        options={str(key): value for key, value in raw.items() if key in OPTIONS and value is not None},
        problems=tuple(problems),
    )


def place_of_channel(name: str) -> str:
    """Return where a channel stands in the settings."""
    return f"{WHERE}['CHANNELS'][{name!r}]"


def _unknown_keys(raw: Mapping[object, object]) -> Iterator[Problem]:
    for key in raw:
        if key == "WEDGED_AFTER":
            yield Problem(UNKNOWN_KEY, f"{WHERE} has an unknown key {key!r}.", f"Set LIFESIGNS[{key!r}].")
        elif key not in KEYS:
            yield Problem(UNKNOWN_KEY, f"{WHERE} has an unknown key {str(key)!r}.", did_you_mean(str(key), KEYS))


def _channels(value: object, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    where, must = f"{WHERE}['CHANNELS']", "must be a dict with names of channels as keys"
    found: dict[str, Mapping[str, object]] = {}
    if not isinstance(value, Mapping):
        if value is not None:
            problems.append(WrongValueError(must).problem(where, value))
        return found
    for name, channel in value.items():
        if not isinstance(name, str):
            part = f"a key is of type {type(name).__name__}"
            problems.append(WrongValueError(must, part, "Write it in quotes.").problem(where, value))
        elif not _has_words_as_keys(channel):
            must_be = "must be a dict with a 'type', such as {'type': 'pagerduty', 'routing_key': ...}"
            problems.append(WrongValueError(must_be).problem(place_of_channel(name), channel))
        else:
            found[name] = channel
    return found


def _dicts(key: str, value: object, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    """Return the dicts of a list by their places."""
    where = f"{WHERE}[{key!r}]"
    if value is None:
        return {}
    if not isinstance(value, (list, tuple)):
        meant = "Write it in brackets, as the only item of a list." if isinstance(value, Mapping) else ""
        problems.append(WrongValueError("must be a list of dicts", meant=meant).problem(where, value))
        return {}
    found = {}
    for number, item in enumerate(value):
        if _has_words_as_keys(item):
            found[f"{where}[{number}]"] = item
        else:
            problems.append(WrongValueError("must be a dict").problem(f"{where}[{number}]", item))
    return found


def _has_words_as_keys(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
