"""What has the right form in `ALERTS`, and is hardly meant: names of nothing, alerts without a receiver, open URLs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from django_lifesigns.settings.alerts import WHERE, Alerts, place_of_channel
from django_lifesigns.settings.problems import (
    ALERTS_NOBODY,
    AMBIGUOUS_APPLICATION,
    TARGET_IN_PART,
    UNENCRYPTED,
    UNKNOWN_CHECK,
    UNLIKELY_VALUE,
    Problem,
    did_you_mean,
)
from django_lifesigns.targets.mail import keeps_mail

# What opens incidents beside the checks.
OTHER_SUBJECTS = ("readiness", "wedged_worker")
# Names of a project's package that say nothing of the project.
GENERIC = frozenset(
    ["app", "backend", "conf", "config", "core", "django", "main", "mysite", "project", "server", "src"]
)
# Seconds: more reminders than that are of no use.
LEAST_REMINDER = 60
URLS = ("url", "api_url", "webhook_url")
# What keeps a route to some of the incidents.
MATCHERS = frozenset(["checks", "severity", "group"])


def implausible(
    given: Alerts, alerts: Mapping[str, Any], names: Collection[str], groups: Collection[str]
) -> Iterator[Problem]:
    """Yield what the settings hardly mean.

    Args:
        given: the settings as they are written.
        alerts: what of them the engine gets.
        names: of all checks.
        groups: the names of all groups.
    """
    yield from _of_receivers(given, alerts["ROUTES"])
    yield from _kept_mail(given)
    yield from _of_names(given, subjects(names), groups)
    yield from _of_application(alerts["APPLICATION"], given)
    yield from _unencrypted(given)
    reminder = given.options.get("REMINDER")
    if isinstance(reminder, (int, float)) and 0 < reminder < LEAST_REMINDER:
        message = f"{WHERE}['REMINDER'] has every incident sent again after {reminder} s."
        yield Problem(UNLIKELY_VALUE, message, "It is in seconds: 14400 for four hours; 0 for none.")


def subjects(checks: Collection[str]) -> list[str]:
    """Return the names of all that opens incidents: these checks, their objectives, and what is beside them."""
    return [*checks, *OTHER_SUBJECTS, *(f"objective:{name}" for name in checks)]


def _of_receivers(given: Alerts, routes: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Alerts without a receiver, or to all of them: no channel at all, or routes that lead to none."""
    if not given.channels:
        message = f"{WHERE} has no CHANNELS: incidents are kept, and no alert is sent."
        yield Problem(ALERTS_NOBODY, message, "Name at least one, or leave ALERTS out.")
    if (
        routes
        and not any(route["channels"] for route in routes)
        and any(not MATCHERS & route.keys() for route in routes)
    ):
        message = f"{WHERE}['ROUTES'] leads to no channel: incidents are kept, and no alert is sent."
        yield Problem(ALERTS_NOBODY, message, "Name a channel in one of them.")
    if given.channels and given.routes and not routes:
        message = f"{WHERE}['ROUTES'] leads to no channel: every incident goes to all of them."
        yield Problem(ALERTS_NOBODY, message, "Correct the routes.")


def _kept_mail(given: Alerts) -> Iterator[Problem]:
    """Mail that Django's backends for development show or forget."""
    for name, channel in given.channels.items():
        if channel.get("type") == "mail" and "server" not in channel and not settings.DEBUG and (kept := keeps_mail()):
            message = f"{place_of_channel(name)} sends mail through {kept}, which sends nothing."
            yield Problem(ALERTS_NOBODY, message, "Use a mail backend that sends, or name a 'server'.")


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
            message = f"{where} begins with http://: anyone on the network path can read alerts, and send others."
            yield Problem(UNENCRYPTED, message, "Use https://.")


def odd_runbooks(checks: Mapping[str, object]) -> Iterator[Problem]:
    """Yield the runbooks of `CHECKS` that are a path or the name of a page: of which site, an alert does not say."""
    for name, entry in checks.items():
        runbook = entry.get("runbook") if isinstance(entry, Mapping) else None
        if isinstance(runbook, str) and not runbook.startswith(("https://", "http://")) and " " not in runbook.strip():
            message = f"LIFESIGNS['CHECKS'][{name!r}] has a 'runbook' that is neither a URL nor a sentence."
            yield Problem(UNLIKELY_VALUE, message, "Begin it with https://, so that alerts have a link.")


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
