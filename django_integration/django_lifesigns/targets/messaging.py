"""From `CHANNEL_LAYERS` and `MQTT_CONFIG` to the checks of the channel layer and the MQTT broker."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from django.conf import settings

from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.settings.values import is_off
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs

MQTT_FILES = ("CA_CERTS", "CERTFILE", "KEYFILE")
# Those that name the target, and those of a client that have no influence on whether the broker accepts it.
MQTT_KEYS = frozenset(
    [
        "BROKER_ADDRESS",
        "BROKER_PORT",
        "BROKER_USERNAME",
        "BROKER_PASSWORD",
        "BROKER_USE_TLS",
        "TRANSPORT",
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
    if find_spec("channels") is None:
        raise NoTargetError("install channels to check a channel layer")
    layers = getattr(settings, "CHANNEL_LAYERS", None) or {}
    if not isinstance(layers, Mapping):
        raise WrongTargetError("CHANNEL_LAYERS must be a dict of dicts")
    if "default" not in layers:
        raise NoTargetError("set CHANNEL_LAYERS to check a channel layer")
    if not isinstance(layers["default"], Mapping) or not layers["default"].get("BACKEND"):
        raise WrongTargetError("CHANNEL_LAYERS['default'] needs a BACKEND, the dotted path of a class")
    return ChannelRoundTrip(timeout=search.timeout)


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
    if str(config.get("TRANSPORT") or "tcp").lower() != "tcp":
        raise WrongTargetError("MQTT_CONFIG['TRANSPORT'] must be 'tcp': websockets are not supported yet")
    for key in sorted(map(str, config.keys() - MQTT_KEYS)):
        search.note(f"MQTT_CONFIG has a key {key!r} that the check does not know.", did_you_mean(key, MQTT_KEYS))
    return specs.Mqtt(
        host=str(config["BROKER_ADDRESS"]),
        port=port,
        username=_text(config.get("BROKER_USERNAME")),
        password=_text(config.get("BROKER_PASSWORD")),
        tls=_mqtt_tls(config),
    )


def _mqtt_tls(config: Mapping[str, object]) -> specs.Tls | None:
    ca, cert, key = (_text(config.get(name)) for name in MQTT_FILES)
    # Files say that TLS is meant, unless something says that it is not.
    if is_off(config.get("BROKER_USE_TLS", bool(ca or cert or key))):
        return None
    return specs.Tls(ca=ca, cert=cert, key=key)


def _text(value: object) -> str | None:
    return str(value) if value else None
