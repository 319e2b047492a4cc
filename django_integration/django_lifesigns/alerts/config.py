"""From Django's settings to the keyword `alerts` of `Engine`. What is wrong is left out, and the rest alerts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django_lifesigns.alerts.channels import engine_channel
from django_lifesigns.alerts.plausibility import implausible, odd_runbooks
from django_lifesigns.settings.alerts import WHERE, Alerts, parse, place_of_channel
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import UNKNOWN_CHANNEL, WRONG_VALUE, Problem, did_you_mean, sentences
from django_lifesigns.settings.project import project_name
from lifesigns.alert_settings import validate

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
        validate(alerts)
    except ValueError as error:  # each piece is right, and not all of them together
        return {}, [*problems, _wrong(WHERE, "", error)]
    return alerts, [*problems, *implausible(given, alerts, names, groups), *odd_runbooks(conf.checks)]


def _channels(given: Alerts, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    found: dict[str, Mapping[str, object]] = {}
    for name, entry in given.channels.items():
        try:
            channel = engine_channel(entry)
            validate({"CHANNELS": {name: channel}})
        except ValueError as error:
            problems.append(_wrong(place_of_channel(name), f"CHANNELS.{name}", error))
        else:
            found[name] = channel
    return found


def _options(given: Alerts, problems: list[Problem]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in given.options.items():
        try:
            validate({key: value})
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
        # As the engine reads all lists of a route.
        wanted = [wanted] if isinstance(wanted, str) else wanted
        try:
            if not isinstance(wanted, (list, tuple)) or not all(isinstance(name, str) for name in wanted):
                raise ValueError("'channels' must be a name of CHANNELS or a list of them")
            for name in (name for name in wanted if name not in given.channels):
                message = f"{where} names an unknown channel {name!r}."
                problems.append(Problem(UNKNOWN_CHANNEL, message, _nearest_channel(name, given)))
            known = {**route, "channels": [name for name in wanted if name in channels]}
            validate({"CHANNELS": channels, "ROUTES": [known]})
        except ValueError as error:
            problems.append(_wrong(where, "ROUTES[0]", error))
        else:
            # One whose channels are all wrong must not hide that its incidents send no alerts.
            if known["channels"] or not wanted:
                found.append(known)
    return found


def _maintenance(given: Alerts, problems: list[Problem]) -> list[Mapping[str, object]]:
    found = []
    for where, window in given.maintenance.items():
        try:
            validate({"MAINTENANCE": [window]})
        except ValueError as error:
            problems.append(_wrong(where, "MAINTENANCE[0]", error))
        else:
            found.append(window)
    return found


def _wrong(where: str, path: str, error: ValueError) -> Problem:
    """Return what the engine says of a piece that it was given alone, at `path`."""
    text = str(error).removeprefix("alerts: ")
    if path:
        text = text.replace(f"{path}.", "").removeprefix(path).lstrip(": ")
    return Problem(WRONG_VALUE, sentences(f"{where}: {text}"), LEFT_OUT)


def _nearest_channel(name: str, given: Alerts) -> str:
    return did_you_mean(name, given.channels) if given.channels else f"{WHERE}['CHANNELS'] names none."
