"""The secrets in the project's settings, which no check of its own, no alert and no table is to show."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from lifesigns.redaction import is_secret, secrets_in

# Of a channel of alerts: what its name does not show to be a secret, and URLs of which the path is one.
KEYS_OF_CHANNELS = frozenset(["routing_key"])
URLS_OF_CHANNELS = frozenset(["url", "webhook_url"])
LONGEST = 4_096


def secrets() -> Iterator[str]:
    """Those of every setting: passwords, keys and tokens by their names, and what stands in URLs."""
    for name in dir(settings):
        if name.isupper():
            yield from secrets_in(_value(name), name)
    lifesigns = getattr(settings, "LIFESIGNS", None)
    if isinstance(lifesigns, Mapping):
        yield from _of_alerts(lifesigns.get("ALERTS"))


def _of_alerts(alerts: object) -> Iterator[str]:
    if not isinstance(alerts, Mapping):
        return
    yield from _of_url(alerts.get("PING_URL"))
    channels = alerts.get("CHANNELS")
    for channel in channels.values() if isinstance(channels, Mapping) else ():
        for key, value in channel.items() if isinstance(channel, Mapping) else ():
            if key in KEYS_OF_CHANNELS and isinstance(value, str):
                yield value
            elif key in URLS_OF_CHANNELS or (str(key).endswith("_url") and "://" not in str(value)):
                yield from _of_url(value)


def _of_url(url: object) -> Iterator[str]:
    """Yield a URL that lets everybody send who knows it: as a whole, and each part that is no word."""
    if not isinstance(url, str) or len(url) > LONGEST:
        return
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL: a secret in the wrong place
        yield url
        return
    if not parts.scheme:
        yield from [url] if _is_odd(url) else []
        return
    tail = url.partition("://")[2].partition("/")[2]
    if tail:
        yield url
    # A service of apprise may have a token in the place of the host.
    host = parts.netloc.rpartition("@")[2]
    is_named = "." in host or host.startswith("localhost") or parts.scheme in ("http", "https")
    hosts = [] if is_named else [host, *host.split(":")]
    queried = [value for name, value in parse_qsl(parts.query) if is_secret(name) or _is_odd(value)]
    pieces = [piece for piece in [tail, *hosts, *parts.path.split("/")] if _is_odd(piece)]
    for piece in [*pieces, *queried]:
        yield from (piece, unquote(piece))


def _is_odd(text: str) -> bool:
    """Return whether it is no word, such as `services` in a path, which would be masked everywhere."""
    return not (text.islower() and text.replace("-", "").replace("_", "").isalpha())


def _value(name: str) -> object:
    with warnings.catch_warnings():
        # The warning about a deprecated setting came already where it was set.
        warnings.simplefilter("ignore")
        try:
            return getattr(settings, name)
        except ImproperlyConfigured:  # an empty SECRET_KEY, as in an image build
            return None
