"""The shapes: what each project reads from its environment, and what its checks have to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.django.shapes import environments
from tests.django.shapes.servers import Servers

# What every project has: the machine, a database and, by Django's default, a cache in memory.
MACHINE = {"cpu_load", "disk_space", "memory_usage"}
PLAIN = MACHINE | {"database_connectivity", "default_cache"}
POSTGRESQL = PLAIN | {"connection_pool"}
REDIS = {"redis_connectivity"}
CELERY = {"task_queue", "pending_tasks", "task_workers"}
RQ = {"task_queue", "pending_tasks", "failed_tasks", "task_workers"}
API = "API"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """`healthy` are all of the 22 checks that have to be healthy, but for `either`, which may be skipped as well.

    `reasons` are words that the messages of skipped ones have to hold. `project` is the folder of the files,
    `celery` the namespace of Celery's settings (None: no Celery), `folders` what the deployment makes.
    """

    name: str
    healthy: set[str]
    project: str = ""
    settings: str = "project.settings"
    interface: str = "wsgi"
    variables: Callable[[Servers], Mapping[str, str]] = field(default=lambda _: {})
    either: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    celery: str | None = None
    commands: tuple[tuple[str, ...], ...] = (("migrate",),)
    folders: tuple[str, ...] = ()


SHAPES = [
    Shape(
        name="cookiecutter_production",
        project="cookiecutter",
        settings="project.settings.production",
        celery="CELERY",
        variables=lambda servers: {
            "DATABASE_URL": servers.database("shop"),
            "EMAIL_HOST": "127.0.0.1",
            **servers.celery(),
        },
        healthy=POSTGRESQL | REDIS | CELERY,
        reasons={"aws_ses": API, "database_performance": "pg_stat_statements", "channel_layer": "CHANNEL_LAYERS"},
    ),
    Shape(
        name="cookiecutter_local",
        project="cookiecutter",
        settings="project.settings.local",
        interface="asgi",
        celery="CELERY",
        variables=environments.cookiecutter_local,
        healthy=POSTGRESQL | {"aws_ses", "directory_permissions"},
        reasons=dict.fromkeys(CELERY, "CELERY_TASK_ALWAYS_EAGER"),
    ),
    Shape(
        name="heroku",
        celery="CELERY",
        variables=environments.heroku,
        folders=("staticfiles",),
        healthy=POSTGRESQL | REDIS | CELERY | {"channel_layer", "select2_cache", "aws_ses", "directory_permissions"},
    ),
    Shape(
        name="wagtail",
        settings="project.settings.production",
        commands=(("createcachetable",), ("migrate",)),
        folders=("static",),
        healthy=PLAIN | {"directory_permissions"},
        either=frozenset(["task_queue", "pending_tasks", "failed_tasks"]),
        reasons={"task_workers": ""},
    ),
    Shape(
        name="zulip",
        variables=lambda servers: {**environments.postgres_parts(servers, "zulip"), **servers.smtp()},
        commands=(("createcachetable",), ("migrate",)),
        folders=("prod-static/serve",),
        healthy=POSTGRESQL | {"aws_ses", "directory_permissions"},
    ),
    Shape(
        name="sentry",
        celery="",
        variables=environments.sentry,
        commands=(("migrate",), ("migrate", "--database", "control")),
        folders=("project/static",),
        healthy=(POSTGRESQL - {"default_cache"}) | {"aws_ses", "directory_permissions"},
        # Celery's settings have their old names here.
        either=frozenset(CELERY),
        reasons={"default_cache": "dummy"},
    ),
    Shape(
        name="netbox",
        variables=lambda servers: {**environments.postgres_parts(servers, "netbox"), **servers.rq()},
        folders=("static", "media"),
        healthy=POSTGRESQL | REDIS | RQ | {"directory_permissions"},
        reasons={"aws_ses": "EMAIL_HOST"},
    ),
    Shape(
        name="sentinel",
        celery="CELERY",
        variables=environments.sentinel,
        folders=("static", "media"),
        healthy=POSTGRESQL | REDIS | CELERY | {"channel_layer", "directory_permissions"},
        reasons={"failed_tasks": "django-celery-results"},
    ),
    Shape(
        name="saleor",
        interface="asgi",
        celery="CELERY",
        variables=environments.saleor,
        healthy=POSTGRESQL | REDIS | CELERY | {"aws_ses"},
    ),
    Shape(
        name="saleor_eager",
        project="saleor",
        interface="asgi",
        celery="CELERY",
        variables=environments.saleor_eager,
        # STATIC_ROOT is not there before collectstatic has run, MEDIA_ROOT not before the first upload.
        healthy=POSTGRESQL | {"directory_permissions"},
        reasons=dict.fromkeys(CELERY, "CELERY_TASK_ALWAYS_EAGER"),
    ),
    Shape(
        name="openedx",
        celery="",
        variables=environments.openedx,
        commands=(("migrate",), ("migrate", "--database", "student_module_history")),
        folders=("staticfiles", "log"),
        healthy=PLAIN | REDIS | CELERY | {"directory_permissions"},
        # Results are in the cache, though the app that would have them in the database is installed.
        reasons={"failed_tasks": "CELERY_RESULT_BACKEND", "connection_pool": "PostgreSQL"},
    ),
    Shape(
        name="tenants",
        variables=lambda servers: {"DATABASE_URL": servers.database("tenants")},
        healthy=POSTGRESQL | {"directory_permissions"},
    ),
    Shape(
        name="channels",
        interface="asgi",
        variables=lambda servers: {"DATABASE_URL": servers.database("chat"), **servers.redis_parts()},
        folders=("staticfiles",),
        healthy=POSTGRESQL | REDIS | {"channel_layer", "directory_permissions"},
    ),
    Shape(
        name="social",
        celery="CELERY",
        variables=lambda servers: {**environments.postgres_parts(servers, "social"), **servers.celery()},
        folders=("static", "images"),
        healthy=POSTGRESQL | REDIS | CELERY | {"failed_tasks", "directory_permissions"},
        reasons={"aws_ses": API},
    ),
    Shape(
        name="iot",
        interface="asgi",
        variables=environments.iot,
        folders=("staticfiles", "media", "logs"),
        healthy=POSTGRESQL
        | REDIS
        | {"postgis_extension", "database_performance", "select2_cache", "mqtt_broker", "directory_permissions"},
        reasons={"task_queue": "TASK_QUEUE", "aws_ses": "SMTP"},
    ),
    Shape(
        name="documentation",
        commands=(("migrate", "--database", "auth_db"), ("migrate", "--database", "primary")),
        healthy=PLAIN - {"database_connectivity"},
        either=frozenset(["directory_permissions"]),
        reasons={"database_connectivity": "DATABASES"},
    ),
    Shape(
        name="stateless",
        interface="asgi",
        commands=(),
        healthy=PLAIN - {"database_connectivity"},
        reasons={"database_connectivity": "DATABASES", "task_queue": "DATABASES"},
    ),
]
