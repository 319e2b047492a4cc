"""Settings with a secret wherever there may be one, for servers that give it away and for real ones that refuse it."""

from __future__ import annotations

import json
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tests.django.settings
from tests.django.indiscreet import OWN
from tests.services import Stack

TOKEN = "s3cr3t-of-a-token-of-ours"


def secret(name: str) -> str:
    return f"s3cr3t-{name}-h8k2"


def encoded(*parts: str) -> str:
    return b64encode("".join(parts).encode()).decode()


# Of a setting whose name says what it is; each encoder writes some of its characters in another way.
ODD = 's3cr3t-o"d\\d&é/<h8k2'
# In which a project may show it; all but those in base64 start as it does.
FORMS = [
    json.dumps(ODD),
    json.dumps(ODD).replace("&", "\\u0026").replace("<", "\\u003C"),
    json.dumps(json.dumps({"x": ODD})),
    repr(ODD.encode()),
    quote(ODD, safe=""),
    escape(ODD),
    encoded(ODD),
    f"Basic {encoded('someone:', ODD)}",
]

# As SMTP and HTTP send them; the padding at the end may differ.
ENCODED = [
    encoded(ODD).rstrip("="),
    encoded("someone:", ODD).rstrip("="),
    encoded("\0someone\0", secret("smtp")),
    encoded(secret("smtp")).rstrip("="),
    encoded("someone:", secret("http-url")).rstrip("="),
    encoded(secret("signing-key-of-a-webhook")).rstrip("="),
]


def telltale_alerts(http: int) -> dict[str, Any]:
    """Channels of every type, each to a server that refuses it and says why."""
    url = f"http://127.0.0.1:{http}"
    signing = f"whsec_{encoded(secret('signing-key-of-a-webhook'))}"
    channels = {
        "oncall": {"type": "pagerduty", "routing_key": secret("routing"), "api_url": url},
        "ops": {"type": "opsgenie", "api_key": secret("genie"), "api_url": url},
        "chat": {"type": "slack", "webhook_url": f"{url}/services/T1/{secret('slack')}"},
        "bot": {"type": "slack", "bot_token": secret("bot"), "channel": "C1", "api_url": url},
        "mail": {"type": "mail", "to": ["ops@example.com"], "from": "shop@example.com"},
        "hook": {"type": "webhook", "url": f"{url}/{secret('hook')}?key={secret('query')}", "secrets": [signing]},
        "other": {"type": "apprise", "url": f"json://127.0.0.1:{http}/{secret('apprise')}"},
        "wrong": {"type": "pagerduty", "routing_key": secret("wrong-channel"), "api_url": secret("wrong-api-url")},
    }
    return {"CHANNELS": channels, "FAILURES": 1, "PING_URL": f"{url}/{secret('ping')}"}


def telltale_settings(folder: Path, ports: dict[str, int]) -> dict[str, Any]:
    redis = f"127.0.0.1:{ports['redis']}"
    configured: dict[str, Any] = {
        **{name: getattr(tests.django.settings, name) for name in ("INSTALLED_APPS", "MIDDLEWARE", "TEMPLATES")},
        "STATIC_URL": "static/",
        "ROOT_URLCONF": "tests.django.urls",
        "SECRET_KEY": secret("secret-key"),
        "DATABASES": {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")},
        },
        "CACHES": {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://someone:{secret('redis-url')}@{redis}/1",
            },
            "select2": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://{redis}/2",
                "OPTIONS": {"password": secret("redis-option")},
            },
        },
        "CHANNEL_LAYERS": {
            "default": {
                "BACKEND": "channels_redis.core.RedisChannelLayer",
                "CONFIG": {"hosts": [f"redis://:{secret('channels')}@{redis}/3"]},
            }
        },
        "MQTT_CONFIG": {
            "BROKER_ADDRESS": "127.0.0.1",
            "BROKER_PORT": ports["mqtt"],
            "BROKER_USERNAME": "someone",
            "BROKER_PASSWORD": secret("mqtt"),
        },
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": ports["smtp"],
        "EMAIL_HOST_USER": "someone",
        "EMAIL_HOST_PASSWORD": secret("smtp"),
        "GOOGLE_MAP_SECRET_KEY": secret("google"),
        "LLM_PROVIDERS": {
            name: {"api_key": secret(name), "base_url": f"http://127.0.0.1:{ports['http']}/v1"}
            for name in ("openai", "anthropic")
        },
        "CELERY_BROKER_URL": f"redis://:{secret('celery')}@{redis}/4",
        "STRIPE_API_KEY": secret("another-setting"),
        "ODD_API_KEY": ODD,
    }
    servers = {
        "postgres": {
            "kind": "postgres",
            "server": {
                "host": "127.0.0.1",
                "port": ports["postgres"],
                "user": "someone",
                "dbname": "app",
                "password": secret("postgres"),
            },
        },
        "http": {
            "kind": "http",
            "url": f"http://someone:{secret('http-url')}@127.0.0.1:{ports['http']}/?key={secret('http-query')}",
            "headers": {"authorization": f"Bearer {secret('http-header')}"},
        },
        "http_post": {
            "kind": "http",
            "url": f"http://127.0.0.1:{ports['http']}/",
            "method": "POST",
            "body": f"token={secret('http-body')}",
        },
        "grpc": {
            "kind": "grpc",
            "host": "127.0.0.1",
            "port": ports["http"],
            "metadata": {"authorization": f"Bearer {secret('grpc')}"},
        },
        "command": {
            "kind": "command",
            "argv": ["sh", "-c", 'echo "$KEY" "$1"; exit 1', "sh", f"--password={secret('command-argument')}"],
            "environment": {"KEY": secret("command-environment")},
            "show_output": True,
        },
        # Of the settings, which the command was not given: see PLANTED.
        "command_settings": {"kind": "command", "argv": ["cat", str(folder / "planted")], "show_output": True},
        "mqtt_url": {"kind": "mqtt", "url": f"mqtt://someone:{secret('mqtt-url')}@127.0.0.1:{ports['mqtt']}"},
        "smtp_url": {"kind": "smtp", "url": f"submission://someone:{secret('smtp-url')}@127.0.0.1:{ports['smtp']}"},
        "postgres_url": {
            "kind": "postgres",
            "url": f"postgresql://someone:{secret('postgres-url')}@127.0.0.1:{ports['postgres']}/app",
        },
        "wrong_server_url": {"kind": "smtp", "url": f"smtp://someone:{secret('wrong-server-url')}@127.0.0.1"},
        "wrong_kind": {"kind": "http", "url": secret("wrong-url"), "password": secret("wrong-field")},
        "wrong_type": {"kind": "redis", "url": {"password": secret("wrong-type")}},
        "not_imported": f"redis://:{secret('dotted')}@host",
    }
    configured["LIFESIGNS"] = {
        "TOKENS": [TOKEN, secret("second-token")],
        "NETWORKS": [],
        "GOOGLE_MAPS_BASE_URL": f"http://127.0.0.1:{ports['http']}",
        "DEFAULT_TIMEOUT": 3,
        "ALERTS": telltale_alerts(ports["http"]),
        "CHECKS": {
            **servers,
            **{check.__name__: f"tests.django.indiscreet.{check.__name__}" for check in OWN},
            "with_arguments": {
                "check": "tests.django.indiscreet.raises",
                "arguments": {"password": secret("argument")},
            },
        },
    }
    # What own checks have to say: all of it, as it stands in the settings.
    planted = json.dumps(configured).replace(secret("wrong-url"), "a URL that is none")
    # Each form on a line, among words that name no secret.
    (folder / "planted").write_text("\n".join([*FORMS, secret("secret-key"), secret("another-setting")]))
    return {**configured, "PLANTED": " ".join([*FORMS, planted])}


def real_settings(stack: Stack) -> dict[str, Any]:
    """The database is there, and has seen secrets; the other servers do not take the passwords that they are sent."""
    stack.postgres.sql("CREATE DATABASE leaks OWNER app")
    stack.postgres.create_objects("leaks")
    configured: dict[str, Any] = stack.settings()
    for literal in ("SELECT 's3cr3t-slow', pg_sleep(0.15)", "DO $$ BEGIN PERFORM 's3cr3t-do', pg_sleep(0.15); END $$"):
        stack.postgres.sql(literal, "leaks")
    database = {**stack.postgres.database(), "NAME": "leaks"}
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    configured |= {
        **{name: getattr(tests.django.settings, name) for name in ("INSTALLED_APPS", "MIDDLEWARE", "TEMPLATES")},
        "STATIC_URL": "static/",
        "ROOT_URLCONF": "tests.django.urls",
        "DATABASES": {"default": database, "other": {**database, "PASSWORD": secret("other-database")}},
        "CACHES": {
            "default": {**redis, "LOCATION": stack.redis.url_for(1, password=secret("redis-url"))},
            "select2": {**redis, "LOCATION": stack.redis.url_for(2, user=secret("redis-user"))},
        },
        "EMAIL_HOST_PASSWORD": secret("smtp"),
        "GOOGLE_MAP_SECRET_KEY": secret("google"),
    }
    configured["MQTT_CONFIG"]["BROKER_PASSWORD"] = secret("mqtt")
    for name, provider in configured["LLM_PROVIDERS"].items():
        provider["api_key"] = secret(name)
    server = {"host": stack.postgres.host, "port": stack.postgres.port, "user": "app", "dbname": "leaks"}
    configured["LIFESIGNS"] |= {"TOKENS": [TOKEN, secret("second-token")], "NETWORKS": []}
    configured["LIFESIGNS"]["CHECKS"] |= {
        "postgres": {"kind": "postgres", "server": {**server, "password": secret("postgres")}},
        "no_such_role": {"kind": "postgres", "server": {**server, "user": "nobody", "password": secret("role")}},
        **{check.__name__: f"tests.django.indiscreet.{check.__name__}" for check in OWN},
    }
    configured["ODD_API_KEY"] = ODD
    return {**configured, "PLANTED": " ".join([*FORMS, json.dumps(configured)])}
