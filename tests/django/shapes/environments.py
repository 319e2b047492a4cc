"""What the projects read from their environment: the addresses of their servers, and databases made for them."""

from __future__ import annotations

from urllib.parse import quote

from tests.django.shapes.servers import ROLE, ROLE_PASSWORD, Servers
from tests.services.mariadb import PASSWORD as MARIADB_PASSWORD
from tests.services.mariadb import USER as MARIADB_USER


def postgres_parts(servers: Servers, name: str) -> dict[str, str]:
    servers.database(name)
    server = servers.postgres
    found = {"HOST": server.host, "PORT": str(server.port), "USER": ROLE, "PASSWORD": ROLE_PASSWORD, "NAME": name}
    return {f"POSTGRES_{key}": value for key, value in found.items()} | {"POSTGRES_SOCKET": server.socket_dir}


def cookiecutter_local(servers: Servers) -> dict[str, str]:
    # A catcher of mail requires no user.
    mail = {name: value for name, value in servers.smtp().items() if name in ("EMAIL_HOST", "EMAIL_PORT")}
    return {"DATABASE_URL": servers.database("shop_local"), **servers.redis_parts(), **mail}


def sentry(servers: Servers) -> dict[str, str]:
    legacy = servers.database("legacy")
    servers.postgres.sql(
        "CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz); "
        "INSERT INTO django_migrations (app, name, applied) VALUES ('auth', '0001_initial', now())",
        "legacy",
    )
    databases = {
        "DATABASE_URL": servers.database("errors"),
        "CONTROL_DATABASE_URL": servers.database("errors_control"),
        "LEGACY_DATABASE_URL": legacy,
    }
    return {**databases, **servers.celery(), **servers.smtp()}


def sentinel(servers: Servers) -> dict[str, str]:
    sentinel = {"SENTINEL_HOST": servers.sentinel.host, "SENTINEL_PORT": str(servers.sentinel.port)}
    return {**postgres_parts(servers, "sentinel"), **servers.celery(), **sentinel}


def saleor(servers: Servers) -> dict[str, str]:
    direct, broker, mail = servers.database("saleor"), servers.celery()["REDIS_URL"], servers.smtp()
    url = direct.replace(f":{servers.postgres.port}/", f":{servers.bouncer.port}/")
    user = f"{quote(mail['EMAIL_HOST_USER'])}:{quote(mail['EMAIL_HOST_PASSWORD'], safe='')}"
    return {
        "DATABASE_URL": url,
        "DATABASE_URL_REPLICA": url,
        "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": broker,
        "CACHE_URL": broker.removesuffix("/0") + "/2",
        "EMAIL_URL": f"smtp://{user}@{mail['EMAIL_HOST']}:{mail['EMAIL_PORT']}/",
        "AWS_MEDIA_BUCKET_NAME": "media",
        "DEBUG": "False",
    }


def saleor_eager(servers: Servers) -> dict[str, str]:
    url = servers.database("saleor_eager")
    return {"DATABASE_URL": url, "DATABASE_URL_REPLICA": url}


def openedx(servers: Servers) -> dict[str, str]:
    server = servers.mariadb
    server.sql("CREATE DATABASE edxapp; CREATE DATABASE edxapp_csmh")
    return {
        "MYSQL_HOST": server.host,
        "MYSQL_PORT": str(server.port),
        "MYSQL_USER": MARIADB_USER,
        "MYSQL_PASSWORD": MARIADB_PASSWORD,
        "MYSQL_NAME": "edxapp",
        "MYSQL_NAME_HISTORY": "edxapp_csmh",
        **servers.celery(),
    }


def iot(servers: Servers) -> dict[str, str]:
    url = servers.database("devices", extensions=True, scheme="postgis")
    return {"DATABASE_URL": url, **servers.redis_parts(), **servers.mqtt()}


def heroku(servers: Servers) -> dict[str, str]:
    return {"DATABASE_URL": servers.database("heroku") + "?sslmode=require", **servers.celery(), **servers.smtp()}
