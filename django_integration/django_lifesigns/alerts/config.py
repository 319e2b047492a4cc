"""From Django's settings to the keyword `alerts` of `Engine`. What is wrong is left out, and the rest alerts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django_lifesigns.alerts.channels import engine_channel
from django_lifesigns.settings.alerts import WHERE, Alerts, parse, place_of_channel
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import (
    ALERTS_NOBODY,
    AMBIGUOUS_APPLICATION,
    TARGET_IN_PART,
    UNENCRYPTED,
    UNKNOWN_CHANNEL,
    UNKNOWN_CHECK,
    WRONG_VALUE,
    Problem,
    did_you_mean,
    sentences,
)
from django_lifesigns.settings.project import project_name
from lifesigns import Engine

# What opens incidents beside the checks.
OTHER_SUBJECTS = ("readiness", "wedged_worker")
# Names of a project's package that say nothing of the project.
GENERIC = frozenset(
    ["app", "backend", "conf", "config", "core", "django", "main", "mysite", "project", "server", "src"]
)
URLS = ("url", "api_url", "webhook_url")
# In the place of channels whose own settings are not on trial.
STUB = {"type": "pagerduty", "routing_key": "0"}
LEFT_OUT = "It is left out until it is put right; the rest alerts."


def engine_alerts(conf: Conf, names: Collection[str], groups: Collection[str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the keyword `alerts` of an engine, empty where nothing is configured, and what is wrong.

    Args:
        conf: the settings.
        names: of all checks that the settings may use or that the report shows.
        groups: the names of all groups.
    """
    if not conf.alerts:
        return {}, []
    given = parse(conf.alerts)
    problems = list(given.problems)
    channels = _channels(given, problems)
    alerts: dict[str, Any] = {"APPLICATION": project_name(), "WEDGED_AFTER": conf.wedged_after}
    alerts |= {**_options(given, problems), "CHANNELS": channels}
    alerts["ROUTES"] = _routes(given, channels, problems)
    alerts["MAINTENANCE"] = _maintenance(given, problems)
    try:
        _try({**alerts, "CHANNELS": dict.fromkeys(channels, STUB)})
    except ValueError as error:  # each piece is right, and not all of them together
        return {}, [*problems, _wrong(WHERE, "", error)]
    problems += _of_nobody(given, alerts["ROUTES"])
    problems += _of_names(given, subjects(names), groups)
    problems += _of_application(alerts["APPLICATION"], given)
    problems += _unencrypted(given)
    return alerts, problems


def subjects(checks: Collection[str]) -> list[str]:
    """Return the names of all that opens incidents: these checks, their objectives, and what is beside them."""
    return [*checks, *OTHER_SUBJECTS, *(f"objective:{name}" for name in checks)]


def _channels(given: Alerts, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    found: dict[str, Mapping[str, object]] = {}
    for name, entry in given.channels.items():
        try:
            channel = engine_channel(entry)
            _try({"CHANNELS": {name: STUB if channel.get("type") == "python" else channel}})
        except ValueError as error:
            problems.append(_wrong(place_of_channel(name), f"CHANNELS.{name}", error))
        else:
            found[name] = channel
    return found


def _options(given: Alerts, problems: list[Problem]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in given.options.items():
        try:
            _try({key: value})
        except ValueError as error:
            problems.append(_wrong(f"{WHERE}[{key!r}]", key, error))
        else:
            found[key] = value
    return found


def _routes(
    given: Alerts, channels: Mapping[str, Mapping[str, object]], problems: list[Problem]
) -> list[dict[str, object]]:
    """Return the routes, each to those of its channels that there are."""
    found = []
    for where, route in given.routes.items():
        wanted = route.get("channels")
        try:
            if not isinstance(wanted, (list, tuple)) or not all(isinstance(name, str) for name in wanted):
                raise ValueError("'channels' must be a list of names of CHANNELS")
            for name in (name for name in wanted if name not in given.channels):
                message = f"{where} names an unknown channel {name!r}."
                problems.append(Problem(UNKNOWN_CHANNEL, message, _nearest_channel(name, given)))
            known = {**route, "channels": [name for name in wanted if name in channels]}
            _try({"CHANNELS": dict.fromkeys(channels, STUB), "ROUTES": [known]})
        except ValueError as error:
            problems.append(_wrong(where, "ROUTES[0]", error))
        else:
            # One whose channels are all wrong must not hide that its incidents alert nobody.
            if known["channels"] or not wanted:
                found.append(known)
    return found


def _maintenance(given: Alerts, problems: list[Problem]) -> list[Mapping[str, object]]:
    found = []
    for where, window in given.maintenance.items():
        try:
            _try({"MAINTENANCE": [window]})
        except ValueError as error:
            problems.append(_wrong(where, "MAINTENANCE[0]", error))
        else:
            found.append(window)
    return found


def _try(alerts: dict[str, object]) -> None:
    """ValueError with what the engine says of a piece of the settings."""
    Engine(alerts=alerts, log=False)


def _wrong(where: str, path: str, error: ValueError) -> Problem:
    """Return what the engine says of a piece that it was given alone, at `path`."""
    text = str(error).removeprefix("alerts: ")
    if path:
        text = text.replace(f"{path}.", "").removeprefix(path).lstrip()
    return Problem(WRONG_VALUE, sentences(f"{where}: {text}"), LEFT_OUT)


def _nearest_channel(name: str, given: Alerts) -> str:
    return did_you_mean(name, given.channels) if given.channels else f"{WHERE}['CHANNELS'] names none."


def _of_nobody(given: Alerts, routes: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """What alerts nobody, or everybody: no channel at all, or routes that lead to none."""
    if not given.channels:
        message = f"{WHERE} has no CHANNELS: incidents are kept, and nobody is alerted."
        yield Problem(ALERTS_NOBODY, message, "Name at least one, or leave ALERTS out.")
    if given.channels and given.routes and not routes:
        message = f"{WHERE}['ROUTES'] leads to no channel: every incident goes to all of them."
        yield Problem(ALERTS_NOBODY, message, "Correct the routes.")


def _of_names(given: Alerts, names: Collection[str], groups: Collection[str]) -> Iterator[Problem]:
    """Names and patterns of routes and maintenance windows that match nothing."""
    for where, entry in {**given.routes, **given.maintenance}.items():
        checks = _texts(entry.get("checks"))
        for pattern in checks:
            if any(fnmatchcase(name, pattern) for name in names):
                continue
            if "*" in pattern or "?" in pattern:
                yield Problem(TARGET_IN_PART, f"{where}: no check matches {pattern!r}.", "It is left out.")
            else:
                message = f"{where} names an unknown check {pattern!r}."
                yield Problem(UNKNOWN_CHECK, message, did_you_mean(pattern, names))
        if checks and not any(fnmatchcase(name, pattern) for name in names for pattern in checks):
            yield Problem(ALERTS_NOBODY, f"{where} matches no check.", "Correct its 'checks', or leave it out.")
        for group in _texts(entry.get("group")):
            if group not in groups:
                message = f"{where} names an unknown group {group!r}."
                hint = did_you_mean(group, groups) if groups else "LIFESIGNS['GROUPS'] names none."
                yield Problem(TARGET_IN_PART, message, hint)


def _of_application(name: object, given: Alerts) -> Iterator[Problem]:
    if name in GENERIC and given.channels:
        message = f"Alerts are sent for an application named {name!r}, as those of other projects may be."
        yield Problem(AMBIGUOUS_APPLICATION, message, f"Set {WHERE}['APPLICATION'] to the name of this one.")


def _unencrypted(given: Alerts) -> Iterator[Problem]:
    places = {f"{WHERE}['PING_URL']": given.options.get("PING_URL")}
    for name, channel in given.channels.items():
        places |= {f"{place_of_channel(name)}[{key!r}]": channel.get(key) for key in URLS}
    for where, url in places.items():
        if isinstance(url, str) and url.startswith("http://") and not _is_loopback(url):
            message = f"{where} begins with http://: whoever is on the way can read alerts, and send their own."
            yield Problem(UNENCRYPTED, message, "Use https://.")


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []
