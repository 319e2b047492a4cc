"""All services that a healthy Django project needs, started together, and the settings that point to them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services import workspace
from tests.services.base import Service
from tests.services.certificates import certificates
from tests.services.http import HttpApis
from tests.services.mosquitto import Mosquitto
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.smtp import Smtp

if TYPE_CHECKING:
    from typing_extensions import Self


NEVER = {"degraded_above": 1000, "error_above": 1000}


class Stack:
    """With `tls`, every service is reached by TLS; `environment()` then makes clients trust their authority."""

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.postgres = Postgres(ssl=tls)
        self.redis = Redis(tls=tls)
        self.mosquitto = Mosquitto(tls=tls)
        self.smtp = Smtp("starttls" if tls else "plain")
        self.http = HttpApis(tls=tls)

    @property
    def services(self) -> tuple[Service, ...]:
        return (self.postgres, self.redis, self.mosquitto, self.smtp, self.http)

    @cached_property
    def directory(self) -> Path:
        """Holds MEDIA_ROOT, STATIC_ROOT and LOG_DIR."""
        return workspace.new_directory("project")

    def start(self) -> None:
        """Start those that do not run, all at once."""
        with ThreadPoolExecutor(len(self.services)) as pool:
            list(pool.map(lambda service: service.start(), self.services))

    def close(self) -> None:
        with ThreadPoolExecutor(len(self.services)) as pool:
            list(pool.map(lambda service: service.close(), self.services))

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def settings(self) -> dict[str, object]:
        """Django settings with which every dependency is there and well."""
        self.postgres.heartbeat()
        self.postgres.forget_statements()
        return {
            "DATABASES": {"default": self.postgres.database()},
            "CACHES": {"default": self._cache(1), "select2": self._cache(2)},
            "CHANNEL_LAYERS": {
                "default": {
                    "BACKEND": "channels_redis.core.RedisChannelLayer",
                    "CONFIG": {"hosts": [{"address": self.redis.url_for(3), **self._redis_options()}]},
                }
            },
            "MQTT_CONFIG": self.mosquitto.django_config(),
            **self.smtp.django_settings(),
            "GOOGLE_MAP_SECRET_KEY": self.http.google_key,
            "LLM_PROVIDERS": {
                "openai": {"api_key": self.http.openai_key, "base_url": self.http.openai_base_url},
                "anthropic": {"api_key": self.http.anthropic_key, "base_url": self.http.anthropic_base_url},
            },
            **{name: str(self._folder(name.lower())) for name in ("MEDIA_ROOT", "STATIC_ROOT", "LOG_DIR")},
            "LIFESIGNS": {
                "GOOGLE_MAPS_BASE_URL": self.http.google_base_url,
                # The services are what is shown: a machine that has just compiled the engine is busy, and may be full.
                "CHECKS": {name: {"thresholds": NEVER} for name in ("cpu_load", "disk_space", "memory_usage")},
            },
        }

    def environment(self) -> dict[str, str]:
        """Environment variables for the processes that use the settings."""
        return {"SSL_CERT_FILE": str(certificates().ca)} if self.tls else {}

    def _cache(self, database: int) -> dict[str, object]:
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": self.redis.url_for(database),
            "OPTIONS": self._redis_options(),
        }

    def _redis_options(self) -> dict[str, str]:
        return {"ssl_ca_certs": str(certificates().ca)} if self.tls else {}

    def _folder(self, name: str) -> Path:
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        return folder


def start_all(*, tls: bool = False) -> Stack:
    """A stack that runs; `close()` it, or leave it to the end of the process."""
    with ExitStack() as undo:
        stack = Stack(tls=tls)
        undo.callback(stack.close)
        stack.start()
        undo.pop_all()
    return stack
