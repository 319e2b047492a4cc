"""The settings of alerts, before the engine has them: their callables, whether they are right, and their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from lifesigns import _core
from lifesigns.redaction import is_secret, secrets_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Functions = dict[str, Callable[[dict[str, Any]], Any]]

# Of a channel: what its name does not show to be a secret, and URLs of which the path is one.
SECRET_KEYS = frozenset(["routing_key"])
SECRET_URLS = frozenset(["url", "webhook_url"])
LONGEST = 4_096


def validate(alerts: Mapping[str, Any]) -> None:
    """Raise the ValueError that an `Engine` with these ``alerts`` would raise."""
    settings, functions = split(alerts)
    _core.validate_alerts(settings, dict.fromkeys(functions, 0))


def split(alerts: Mapping[str, Any]) -> tuple[Mapping[str, Any], Functions]:
    """Return the settings without callables, and the callables of channels by name.

    Raises:
        ValueError: a channel that needs a callable has none.
    """
    channels = alerts.get("CHANNELS") if isinstance(alerts, Mapping) else None
    if not isinstance(channels, Mapping):
        return alerts, {}
    functions = {}
    for name, channel in channels.items():
        if isinstance(channel, Mapping) and channel.get("type") in ("python", "apprise"):
            functions[name] = _function(name, channel)
    native = {name: {"type": "python"} if name in functions else channel for name, channel in channels.items()}
    return {**alerts, "CHANNELS": native}, functions


def _function(name: str, channel: Mapping[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """Return what is called for a channel that is not native."""
    where = f"alerts: CHANNELS.{name}"
    if channel["type"] == "apprise":
        from lifesigns.apprise_channel import AppriseChannel

        try:
            return AppriseChannel(channel)
        except ValueError as error:
            joint = "" if str(error).startswith(".") else " "
            raise ValueError(f"{where}{joint}{error}") from error
    function: Callable[[dict[str, Any]], Any] | None = channel.get("callable")
    if not callable(function):
        raise ValueError(f"{where}.callable must be a callable that takes a notice")
    if unknown := sorted(map(str, channel.keys() - {"type", "callable"})):
        raise ValueError(f"{where} has unknown fields: {', '.join(unknown)}")
    return function


def secrets_of(alerts: object) -> Iterator[str]:
    """Yield the secrets of settings, whatever their form: keys and tokens, and URLs that let everybody send."""
    if not isinstance(alerts, Mapping):
        return
    yield from _of_url(alerts.get("PING_URL"))
    channels = alerts.get("CHANNELS")
    yield from secrets_in(channels)
    for channel in channels.values() if isinstance(channels, Mapping) else ():
        for key, value in channel.items() if isinstance(channel, Mapping) else ():
            if key in SECRET_KEYS and isinstance(value, str):
                yield value
            elif key in SECRET_URLS or (str(key).endswith("_url") and "://" not in str(value)):
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
