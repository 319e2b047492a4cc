"""From `CHANNEL_LAYERS` and `MQTT_CONFIG` to the checks of the channel layer and the MQTT broker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from inspect import Parameter, signature
from typing import Literal

from django.conf import settings
from django.utils.module_loading import import_string

from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.settings.values import is_off
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs

MQTT_FILES = ("CA_CERTS", "CERTFILE", "KEYFILE")
# As paho-mqtt names them, and as URLs do.
MQTT_TRANSPORTS: dict[str, Literal["websockets"] | None] = {
    "tcp": None,
    "websockets": "websockets",
    "ws": "websockets",
    "wss": "websockets",
}
HTTPS = 443
AWS_IOT = re.compile(r"\.iot\.[a-z0-9-]+\.amazonaws\.com(\.cn)?\.?$", re.IGNORECASE)
# Those that name the target, and those of a client that have no influence on whether the broker accepts it.
MQTT_KEYS = frozenset(
    [
        "BROKER_ADDRESS",
        "BROKER_PORT",
        "BROKER_USERNAME",
        "BROKER_PASSWORD",
        "BROKER_USE_TLS",
        "TRANSPORT",
        "PATH",
        "ALPN_PROTOCOLS",
        "KEYFILE_PASSWORD",
        *MQTT_FILES,
        "BROKER_KEEPALIVE",
        "CLIENT_ID",
        "KEEPALIVE",
        "QOS",
        "TOPICS",
    ]
)


def channel_layer(search: DiscoveryContext) -> Check:
    """Check 14."""
    return of_layer(search, "default")


def of_layer(search: DiscoveryContext, alias: str) -> Check:
    """Send and receive a message through one channel layer, whichever it is."""
    if find_spec("channels") is None:
        raise NoTargetError("install channels to check a channel layer")
    layers = getattr(settings, "CHANNEL_LAYERS", None) or {}
    if not isinstance(layers, Mapping):
        raise WrongTargetError("CHANNEL_LAYERS must be a dict of dicts")
    if alias not in layers:
        raise NoTargetError("set CHANNEL_LAYERS to check a channel layer")
    _require_backend(f"CHANNEL_LAYERS[{alias!r}]", layers[alias])
    return ChannelRoundTrip(alias=alias, timeout=search.timeout)


def layers() -> list[str]:
    """Return the aliases of `CHANNEL_LAYERS`; none where Channels is not installed, as for check 14."""
    configured = getattr(settings, "CHANNEL_LAYERS", None)
    return list(configured) if isinstance(configured, Mapping) and find_spec("channels") else []


def hosts_of(alias: str) -> object:
    """Return the hosts of a channel layer, as its settings have them."""
    config = settings.CHANNEL_LAYERS[alias].get("CONFIG")  # type: ignore[misc]  # Channels has it
    return config.get("hosts") if isinstance(config, Mapping) else None


def _require_backend(where: str, layer: object) -> None:
    """Return where Channels can make a layer of this entry; nothing is made, or connected to."""
    if not isinstance(layer, Mapping) or not isinstance(layer.get("BACKEND"), str) or not layer["BACKEND"]:
        raise WrongTargetError(f"{where} needs a BACKEND, the dotted path of a class")
    try:
        backend = import_string(layer["BACKEND"])
    except Exception as error:  # whatever its module raises when it is imported
        reason = type(error).__name__
        raise WrongTargetError(f"{where}: the BACKEND {layer['BACKEND']!r} cannot be imported ({reason})") from error
    config = layer.get("CONFIG", {})
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise WrongTargetError(f"{where}['CONFIG'] must be a dict of keyword arguments")
    try:
        parameters = signature(backend).parameters
    except (TypeError, ValueError):  # no class, or one without a signature
        return
    if all(parameter.kind is not Parameter.VAR_KEYWORD for parameter in parameters.values()):
        for key in config.keys() - parameters.keys():
            hint = did_you_mean(key, parameters)
            raise WrongTargetError(f"{where}['CONFIG'] has a key {key!r} that {layer['BACKEND']} does not take. {hint}")


def mqtt_broker(search: DiscoveryContext) -> Check:
    """Check 15."""
    config = getattr(settings, "MQTT_CONFIG", None)
    if not config:
        raise NoTargetError("set MQTT_CONFIG to check an MQTT broker")
    if not isinstance(config, Mapping):
        raise WrongTargetError("MQTT_CONFIG must be a dict")
    if not config.get("BROKER_ADDRESS"):
        raise NoTargetError("set MQTT_CONFIG['BROKER_ADDRESS'] to check an MQTT broker")
    try:
        port = int(config["BROKER_PORT"]) if config.get("BROKER_PORT") else None
    except (TypeError, ValueError) as error:
        raise WrongTargetError("MQTT_CONFIG['BROKER_PORT'] must be a whole number") from error
    transport = str(config.get("TRANSPORT") or "tcp").lower()
    if transport not in MQTT_TRANSPORTS:
        raise WrongTargetError("MQTT_CONFIG['TRANSPORT'] must be 'tcp' or 'websockets'")
    if "PATH" in config and MQTT_TRANSPORTS[transport] is None:
        search.note("MQTT_CONFIG['PATH'] is that of a websocket.", "Set MQTT_CONFIG['TRANSPORT'] = 'websockets'.")
    for key in sorted(map(str, config.keys() - MQTT_KEYS)):
        search.note(f"MQTT_CONFIG has a key {key!r} that the check does not know.", did_you_mean(key, MQTT_KEYS))
    return specs.Mqtt(
        host=str(config["BROKER_ADDRESS"]),
        port=port,
        username=_text(config.get("BROKER_USERNAME")),
        password=_text(config.get("BROKER_PASSWORD")),
        tls=_mqtt_tls(config, encrypted=transport == "wss"),
        alpn=_alpn(config, port, transport),
        transport=MQTT_TRANSPORTS[transport],
        path=_text(config.get("PATH")) if MQTT_TRANSPORTS[transport] else None,
    )


def _mqtt_tls(config: Mapping[str, object], *, encrypted: bool) -> specs.Tls | None:
    ca, cert, key = (_text(config.get(name)) for name in MQTT_FILES)
    # Files say that TLS is meant, unless something says that it is not.
    if is_off(config.get("BROKER_USE_TLS", bool(encrypted or ca or cert or key))):
        return None
    return specs.Tls(ca=ca, cert=cert, key=key, key_password=_text(config.get("KEYFILE_PASSWORD")))


def _alpn(config: Mapping[str, object], port: int | None, transport: str) -> list[str] | None:
    given = config.get("ALPN_PROTOCOLS")
    if given is None:
        # AWS IoT distinguishes MQTT from HTTPS on port 443 by this protocol alone.
        over_https = port == HTTPS and AWS_IOT.search(str(config["BROKER_ADDRESS"])) and transport == "tcp"
        return ["x-amzn-mqtt-ca"] if over_https else None
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        return list(given)
    raise WrongTargetError("MQTT_CONFIG['ALPN_PROTOCOLS'] must be a list of names, such as ['x-amzn-mqtt-ca']")


def _text(value: object) -> str | None:
    return str(value) if value else None
