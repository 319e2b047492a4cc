"""Settings of the shop: all actions, each about a check of its own, and none of them dry."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django_lifesigns.targets.catalogue import CATALOGUE
from tests.actions.shop import FOLDER, given

GIVEN = given()
SECRET_KEY = "a-key-of-a-test"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.actions.shop.urls"
WSGI_APPLICATION = "tests.actions.shop.wsgi.application"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_lifesigns"]
MIDDLEWARE = ["django_lifesigns.middleware.ProbeMiddleware"]
USE_TZ = True
# Kept open, and not looked at before they are used: they are stale once the server was restarted.
DATABASES = {"default": {**GIVEN["database"], "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}}
# As a secret that is mounted: read when a process starts.
PASSWORD = (FOLDER / "password").read_text()
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"redis://default:{quote(PASSWORD, safe='')}@127.0.0.1:{GIVEN['redis_port']}/1",
    }
}
CELERY_BROKER_URL = GIVEN["broker"]
CELERY_WORKER_POOL_RESTARTS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True


def action(kind: str, check: str, **more: Any) -> dict[str, Any]:
    when = {"check": check, "runs": 2, "seconds": 0.5}
    return {
        "action": kind,
        "when": when,
        "limit": {"per_hour": 5},
        "cooldown": 0,
        "verify": 60,
        "dry_run": False,
        **more,
    }


KEPT = {"database_connectivity", "redis_connectivity"}
LIFESIGNS = {
    "STORE_PATH": str(FOLDER / "store"),
    "DISABLED": sorted(CATALOGUE.keys() - KEPT),
    "CHECKS": {
        **{name: {"ttl": 0.5} for name in KEPT},
        "prices": {"check": "tests.actions.shop.checks.prices", "ttl": 0.5, "critical": False},
        "orders": {"check": "tests.actions.shop.checks.orders", "ttl": 0.5, "critical": False},
    },
    "DEFAULT_TTL": 0.5,
    "ACTIONS": {
        "close": action("close_stale_connections", "database_connectivity"),
        "reload": action("reload_gunicorn", "redis_connectivity"),
        "warm": action("warm_cache", "prices", arguments={"callable": "tests.actions.shop.checks.warm"}),
        "pool": action("restart_celery_pool", "orders"),
    },
}
