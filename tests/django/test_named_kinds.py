"""Checks of `LIFESIGNS["CHECKS"]` that name a kind of what only Django reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.database import DatabaseConnectivity
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.migrations import MigrationsApplied
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.settings.options import DJANGO_KINDS
from django_lifesigns.specs import Migrations, Storage
from django_lifesigns.targets.aliases import ALIAS_KINDS
from lifesigns import specs
from tests.django.projects import run_json, sqlite
from tests.django.test_aliases import LAYER, LOCAL, MEDIA, REDIS, REMOTE
from tests.django.test_health_modules import found as declared_in_health_module
from tests.services import free_port

SMTP = "django.core.mail.backends.smtp.EmailBackend"
SETTINGS: dict[str, Any] = {
    "CACHES": {"default": {"BACKEND": REDIS, "LOCATION": "redis://h"}, "local": LOCAL},
    "CHANNEL_LAYERS": {"default": LAYER, "chat": LAYER},
    "STORAGES": {"default": REMOTE, "media": MEDIA},
}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"kind": "database"}, DatabaseConnectivity()),
        ({"kind": "database", "alias": "default"}, DatabaseConnectivity()),
        ({"kind": "cache", "alias": "local"}, CacheRoundTrip(alias="local")),
        ({"kind": "channel_layer", "alias": "chat"}, ChannelRoundTrip(alias="chat", timeout=5.0)),
        ({"kind": "storage", "alias": "media"}, StorageCheck(alias="media")),
        ({"kind": "storage", "write": True}, StorageCheck(alias="default", write=True)),
        ({"kind": "migrations"}, MigrationsApplied()),
        (
            {"kind": "migrations", "databases": ["default"], "unapplied": "degraded"},
            MigrationsApplied(databases=("default",), unapplied="degraded"),
        ),
    ],
)
def test_kind_is_the_check_of_its_alias(discovered: Any, entry: Any, expected: Any) -> None:
    found, problems = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"mine": entry}})
    assert problems == []
    is_critical = entry["kind"] not in ("migrations", "storage")
    assert (found["mine"].check, found["mine"].options["critical"]) == (expected, is_critical)


@pytest.mark.filterwarnings("ignore:The EMAIL_.* setting is deprecated")
def test_mail_is_that_of_the_default_mailer(discovered: Any) -> None:
    mail = {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "relay.example", "EMAIL_HOST_USER": ""}
    found, problems = discovered(**mail, LIFESIGNS={"CHECKS": {"relay": {"kind": "mail"}}})
    assert problems == []
    assert found["relay"].check == found["aws_ses"].check
    assert isinstance(found["relay"].check, specs.Smtp)
    assert found["relay"].options["ttl"] == 300


def test_run_options_stand_beside_the_kind(discovered: Any) -> None:
    entry = {"kind": "storage", "alias": "default", "write": True, "critical": False, "ttl": 60, "name": "uploads"}
    found, problems = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"mine": entry}})
    assert problems == []
    assert found["uploads"].check == StorageCheck(alias="default", write=True)
    options = found["uploads"].options
    assert (options["critical"], options["ttl"], options["breaker"].failures) == (False, 60, 3)


RELAY = {"kind": "smtp", "host": "relay.example"}


@pytest.mark.parametrize(
    ("entry", "ttl", "critical"),
    [
        (RELAY, 300, False),
        ({"check": RELAY}, 300, False),
        ({"check": specs.Smtp(host="relay.example")}, 300, False),
        ({**RELAY, "ttl": 10, "critical": True}, 10, True),
        ({"kind": "google_maps", "api_key": "k"}, 900, False),
        ({"kind": "openai", "api_key": "k"}, 120, False),
        ({"kind": "anthropic", "api_key": "k"}, 120, False),
        ({"check": Storage(alias="media")}, 300, False),
        ({"check": Migrations(), "critical": True}, 300, True),
        ({"kind": "tcp", "host": "h", "port": 1}, None, True),
    ],
)
def test_what_costs_money_or_a_ban_is_asked_as_seldom_as_by_default(
    discovered: Any, entry: Any, ttl: float | None, critical: bool
) -> None:
    found, problems = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"mine": entry}})
    assert problems == []
    assert (found["mine"].options.get("ttl"), found["mine"].is_critical) == (ttl, critical)


def test_check_in_place_of_one_of_the_22_is_run_as_that(discovered: Any) -> None:
    found, _ = discovered(LIFESIGNS={"CHECKS": {"disk_space": {"check": specs.Smtp(host="relay.example")}}})
    assert (found["disk_space"].options["ttl"], found["disk_space"].is_critical) == (300, True)


DECLARED = """
from django_lifesigns.specs import Migrations, Storage
lifesigns.check("files", critical=False)(Storage(alias="default", write=True))
lifesigns.check("schema", ttl=60)(Migrations(unapplied="degraded"))
"""


def test_declared_in_a_health_module(tmp_path: Path) -> None:
    said, report = declared_in_health_module(tmp_path, DECLARED)
    assert said == []
    assert report["checks"]["files"]["message"] == "Storage 'default' reads and writes"
    assert report["checks"]["schema"]["message"] == "All migrations are applied"


def test_cache_depends_on_the_server_of_default(discovered: Any) -> None:
    caches = {"default": SETTINGS["CACHES"]["default"], "other": {"BACKEND": REDIS, "LOCATION": "redis://h/3"}}
    lifesigns = {"ALIASES": "default", "CHECKS": {"sessions": {"kind": "cache", "alias": "other"}}}
    found, _ = discovered(CACHES=caches, LIFESIGNS=lifesigns)
    assert found["sessions"].options["depends_on"] == ("redis_connectivity",)
    # Readiness may rest on it as long as it is fresh.
    assert found["sessions"].options["ready_max_age"] == 30


@pytest.mark.parametrize("kind", ["storage", "migrations"])
def test_readiness_rests_on_no_old_result_of_a_critical_kind_that_nothing_vouches_for(
    discovered: Any, kind: str
) -> None:
    found, _ = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"mine": {"kind": kind, "critical": True}}})
    assert found["mine"].is_critical
    assert (found["mine"].options["ttl"], "ready_max_age" in found["mine"].options) == (300, False)


def test_migrations_of_the_default_database_rest_on_its_check(discovered: Any, database: Any) -> None:
    database(ENGINE="django.db.backends.postgresql", NAME="app")
    found, _ = discovered(LIFESIGNS={"CHECKS": {"mine": {"kind": "migrations", "critical": True}}})
    assert found["mine"].options["depends_on"] == ("database_connectivity",)
    assert found["mine"].options["ready_max_age"] == 300


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"kind": "cache", "alais": "local"}, "has an unknown option 'alais'. Did you mean 'alias'?"),
        ({"kind": "cache", "alias": "lcal"}, "names 'lcal', which CACHES does not have. Did you mean 'local'?"),
        ({"kind": "cache", "alias": 7}, "has 'alias' that is not the name of an alias."),
        ({"kind": "cache", "write": True}, "has an unknown option 'write'."),
        ({"kind": "database", "alias": "legacy"}, "names 'legacy', which DATABASES does not have."),
        ({"kind": "mail", "alias": "bulk"}, "names 'bulk', which MAILERS does not have."),
        ({"kind": "storage", "write": "yes"}, "has a 'write' that is neither True nor False."),
        ({"kind": "migrations", "unapplied": "bad"}, "has an 'unapplied' that is neither 'error' nor 'degraded'."),
        ({"kind": "migrations", "databases": "default"}, "has 'databases' that are not a list of aliases."),
        ({"kind": "migrations", "databases": ["x"]}, "names 'x', which DATABASES does not have."),
        ({"kind": "storage", "enabled": 1}, "has an 'enabled' that is neither True nor False."),
    ],
)
def test_wrong_option_is_an_error_of_that_check(discovered: Any, entry: Any, text: str) -> None:
    found, [problem] = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"mine": entry}})
    assert problem.id == "E004"
    assert problem.message.startswith(f"LIFESIGNS['CHECKS']['mine'] {text}"), problem.message
    assert isinstance(found["mine"].check, FixedResult)


def test_kinds_are_those_of_the_settings() -> None:
    assert {*ALIAS_KINDS, "migrations"} == DJANGO_KINDS


@pytest.mark.django_db
@pytest.mark.parametrize("unapplied", ["error", "degraded"])
def test_migrations__unapplied_one_has_the_configured_status(unapplied: str) -> None:
    check = MigrationsApplied(unapplied=unapplied)
    assert check()["status"] == "healthy"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    result = check()
    assert (result["status"], result["message"]) == (unapplied, "1 migration is not applied")
    assert result["details"] == {"unapplied": {"default": ["sessions.0001_initial"]}}


PROGRAM = """
import json
from django.core.management import call_command
from django_lifesigns.runtime.engine import get_engine

call_command("migrate", verbosity=0)
print(json.dumps(get_engine().run(["mine", "all"])["checks"]))
"""


def test_migrations__of_a_named_database_that_is_down(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    down = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "HOST": "127.0.0.1", "PORT": free_port()}
    checks = {"mine": {"kind": "migrations", "databases": ["down"]}, "all": {"kind": "migrations"}}
    settings = {"DATABASES": {**sqlite(tmp_path), "down": down}, "LIFESIGNS": {"CHECKS": checks}}
    found = run_json(tmp_path, settings, PROGRAM)
    assert (found["mine"]["status"], found["mine"]["message"]) == ("error", "The migrations of down cannot be read")
    assert found["all"]["status"] == "healthy"
