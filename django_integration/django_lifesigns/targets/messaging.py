"""From `CHANNEL_LAYERS` and `MQTT_CONFIG` to the checks of the channel layer and the MQTT broker."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from django.conf import settings

from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs


def channel_layer(search: DiscoveryContext) -> Check:
    """Check 14."""
    if find_spec("channels") is None:
        raise NoTargetError("install channels to check a channel layer")
    if "default" not in (getattr(settings, "CHANNEL_LAYERS", None) or {}):
        raise NoTargetError("set CHANNEL_LAYERS to check a channel layer")
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
    return specs.Mqtt(
        host=str(config["BROKER_ADDRESS"]),
        port=port,
        username=config.get("BROKER_USERNAME") or None,
        password=config.get("BROKER_PASSWORD") or None,
        tls=specs.Tls() if config.get("BROKER_USE_TLS") else None,
    )
