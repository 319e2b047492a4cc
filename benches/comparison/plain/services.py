"""The checks of Redis, the caches, the channel layer, MQTT, mail and the external APIs, each with its usual library."""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import redis
from channels_redis.core import RedisChannelLayer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from benches.comparison.plain.database import result

SECONDS = 5.0


class Services:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        caches = settings["CACHES"]
        self.caches = {alias: redis.Redis.from_url(cache["LOCATION"]) for alias, cache in caches.items()}
        self.layer = RedisChannelLayer(**settings["CHANNEL_LAYERS"]["default"]["CONFIG"])
        # One loop for all sweeps: the layer keeps its connections with it, and tidies up after a message was received.
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.tls = ssl.create_default_context()

    def checks(self) -> dict[str, Callable[[], dict[str, Any]]]:
        return {
            "redis_connectivity": self.redis,
            "default_cache": lambda: self.cache("default"),
            "select2_cache": lambda: self.cache("select2"),
            "channel_layer": self.channels,
            "mqtt_broker": self.mqtt,
            "aws_ses": self.mail,
            "google_maps_api": self.google,
            "openai_api": self.openai,
            "anthropic_api": self.anthropic,
        }

    def redis(self) -> dict[str, Any]:
        client = self.caches["default"]
        client.ping()
        info: Any = client.info()
        keys = ("redis_version", "uptime_in_seconds", "connected_clients", "used_memory_human")
        return result("healthy", "pong", **{key: info[key] for key in keys})

    def cache(self, alias: str) -> dict[str, Any]:
        client, key, value = self.caches[alias], f"plain:{uuid4().hex}", uuid4().bytes
        client.set(key, value, ex=60)
        try:
            passed = client.get(key) == value
        finally:
            client.delete(key)
        return result("healthy" if passed else "error", "round trip", read_write_test=passed)

    def channels(self) -> dict[str, Any]:
        passed = asyncio.run_coroutine_threadsafe(self.message(), self.loop).result(SECONDS)
        return result("healthy" if passed else "error", "round trip", send_receive_test=passed)

    async def message(self) -> bool:
        channel = await self.layer.new_channel("plain")
        message = {"type": "plain.probe", "id": uuid4().hex}
        await self.layer.send(channel, message)
        return bool((await self.layer.receive(channel))["id"] == message["id"])

    def mqtt(self) -> dict[str, Any]:
        config = self.settings["MQTT_CONFIG"]
        answered: list[Any] = []
        client = Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(config["BROKER_USERNAME"], config["BROKER_PASSWORD"])
        client.on_connect = lambda client, data, flags, reason, properties: answered.append(reason)
        client.connect(config["BROKER_ADDRESS"], config["BROKER_PORT"])
        deadline = time.monotonic() + SECONDS
        while not answered and time.monotonic() < deadline:
            if client.loop(timeout=0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        client.disconnect()
        accepted = bool(answered) and not answered[0].is_failure
        return result("healthy" if accepted else "error", "CONNACK", return_code=str(answered))

    def mail(self) -> dict[str, Any]:
        settings = self.settings
        with smtplib.SMTP(settings["EMAIL_HOST"], settings["EMAIL_PORT"], timeout=SECONDS) as server:
            server.starttls(context=self.tls)
            server.login(settings["EMAIL_HOST_USER"], settings["EMAIL_HOST_PASSWORD"])
        return result("healthy", "logged in", authentication="successful")

    def google(self) -> dict[str, Any]:
        base = self.settings["LIFESIGNS"]["GOOGLE_MAPS_BASE_URL"]
        query = {
            "address": "1600 Amphitheatre Parkway, Mountain View, CA",
            "key": self.settings["GOOGLE_MAP_SECRET_KEY"],
        }
        status = get(f"{base}/maps/api/geocode/json?{urlencode(query)}")["status"]
        return result("healthy" if status in ("OK", "ZERO_RESULTS") else "error", status, api_status=status)

    def openai(self) -> dict[str, Any]:
        provider = self.settings["LLM_PROVIDERS"]["openai"]
        models = get(f"{provider['base_url']}/models", Authorization=f"Bearer {provider['api_key']}")["data"]
        return result("healthy", "authenticated", models_available=len(models))

    def anthropic(self) -> dict[str, Any]:
        provider = self.settings["LLM_PROVIDERS"]["anthropic"]
        headers = {"x-api-key": provider["api_key"], "anthropic-version": "2023-06-01"}
        models = get(f"{provider['base_url']}/v1/models", **headers)["data"]
        return result("healthy", "authenticated", models_available=len(models))


def get(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS) as answer:
        return json.load(answer)
