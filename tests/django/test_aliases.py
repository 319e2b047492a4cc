"""A check for each further alias: which there are, how they are named, and that they keep nothing from starting."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import connections
from django.test import Client

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.database import DatabaseConnectivity
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.runtime import system_checks
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import checks as registry
from lifesigns import specs
from tests.django.projects import run_json, sqlite
from tests.services import free_port

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "app", "USER": "app", "HOST": "db", "PASSWORD": "p"}
REDIS = "django.core.cache.backends.redis.RedisCache"
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
FILES = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/tmp/x"}
DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
LAYER = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
MEDIA = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
REMOTE = {"BACKEND": "tests.django.remote_storage.RemoteStorage"}


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch, database: Any) -> Any:
    """Adds databases for what only reads settings. Nothing connects to them."""

    def configure(**further: dict[str, Any]) -> None:
        default = connections.settings["default"]
        configured = connections.configure_settings({"default": default, **further})
        for alias in further:
            monkeypatch.setitem(connections.settings, alias, configured[alias])

    return configure


def further(found: dict[str, Any]) -> dict[str, Any]:
    return {name: check.check for name, check in found.items() if name not in CATALOGUE}


def test_databases__have_the_check_of_their_engine(discovered: Any, databases: Any) -> None:
    databases(
        replica={**POSTGRESQL, "TEST": {"MIRROR": "default"}},
        legacy={"ENGINE": SQLITE, "NAME": "/nowhere/legacy.sqlite3"},
        nothing={},
    )
    found, problems = discovered()
    assert problems == []
    server = specs.PostgresServer(dbname="app", user="app", host="db", password="p")
    assert further(found) == {
        "database_replica": specs.Postgres(server=server),
        "database_legacy": DatabaseConnectivity(alias="legacy"),
        "database_nothing": specs.Skipped(reason="set DATABASES['nothing'] to check this database"),
    }
    assert not any(check.options["critical"] for name, check in found.items() if name not in CATALOGUE)
    assert found["database_replica"].options["timeout"] == 10


def test_database__of_the_server_of_default_depends_on_it(discovered: Any, databases: Any, database: Any) -> None:
    database(**POSTGRESQL)
    databases(same=POSTGRESQL, other={**POSTGRESQL, "NAME": "other"}, elsewhere={**POSTGRESQL, "HOST": "db2"})
    found, _ = discovered()
    parents = {name: found[f"database_{name}"].options.get("depends_on") for name in ("same", "other", "elsewhere")}
    assert parents == {"same": ("database_connectivity",), "other": None, "elsewhere": None}


def test_caches__that_are_on_a_server_have_a_check(discovered: Any) -> None:
    caches = {
        "default": {"BACKEND": REDIS, "LOCATION": "redis://h:6379/1"},
        "select2": LOCAL,
        "local": LOCAL,
        "files": FILES,
        "dummy": DUMMY,
        "sessions": {"BACKEND": REDIS, "LOCATION": "redis://h/2"},
        "replicated": {"BACKEND": REDIS, "LOCATION": ["redis://other/2", "redis://other2/2"]},
        "table": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    }
    found, problems = discovered(CACHES=caches)
    assert problems == []
    assert further(found) == {
        "cache_sessions": CacheRoundTrip(alias="sessions"),
        "cache_replicated": CacheRoundTrip(alias="replicated", lag=2.5),
        "cache_table": CacheRoundTrip(alias="table"),
    }
    assert found["cache_sessions"].options["depends_on"] == ("redis_connectivity",)
    assert found["cache_replicated"].options.get("depends_on") is None


def test_channel_layers__have_a_check(discovered: Any) -> None:
    found, problems = discovered(CHANNEL_LAYERS={"default": LAYER, "chat": LAYER})
    assert problems == []
    assert further(found) == {"channel_layer_chat": ChannelRoundTrip(alias="chat", timeout=5.0)}


def test_storages__that_are_no_file_system_have_a_check(discovered: Any) -> None:
    storages = {"default": REMOTE, "staticfiles": MEDIA, "memory": MEMORY, "backup": REMOTE}
    found, problems = discovered(STORAGES=storages)
    assert problems == []
    assert further(found) == {
        "storage_default": StorageCheck(alias="default"),
        "storage_backup": StorageCheck(alias="backup"),
    }
    options = found["storage_default"].options
    assert (options["critical"], options["ttl"], options["breaker"].wait) == (False, 300, 60)


@pytest.mark.parametrize(
    ("mailers", "version", "said"),
    [
        ({"default": {"BACKEND": "x"}}, (5, 2), True),
        ({"default": {"BACKEND": "x"}}, (6, 1), False),
        # Of something else.
        ({"default": "x"}, (5, 2), False),
        (["x"], (5, 2), False),
    ],
)
def test_mailers_that_this_django_does_not_read(
    settings: Any, monkeypatch: pytest.MonkeyPatch, mailers: Any, version: tuple[int, int], said: bool
) -> None:
    settings.MAILERS = mailers
    monkeypatch.setattr("django_lifesigns.targets.mail.django.VERSION", version)
    found = [message for message in system_checks.messages() if "MAILERS has no effect" in message.msg]
    assert [message.id for message in found] == (["lifesigns.W013"] if said else [])


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS")
def test_mailers__have_a_check(discovered: Any) -> None:
    smtp, console = (f"django.core.mail.backends.{name}.EmailBackend" for name in ("smtp", "console"))
    mailers = {
        "default": {"BACKEND": console},
        "bulk": {"BACKEND": smtp, "OPTIONS": {"host": "bulk.example"}},
        "shown": {"BACKEND": console},
        "local": {"BACKEND": smtp},
        "wrong": "hunter2",
    }
    found, problems = discovered(MAILERS=mailers)
    checks = further(found)
    assert (checks["mail_bulk"].host, found["mail_bulk"].options["ttl"]) == ("bulk.example", 300)
    assert isinstance(checks["mail_shown"], specs.Skipped)
    assert isinstance(checks["mail_local"], specs.Skipped)
    [problem] = problems
    assert (problem.id, "MAILERS['wrong']" in problem.message, "hunter2" in problem.message) == ("W005", True, False)


def test_aliases__default_leaves_them_out(discovered: Any) -> None:
    lifesigns = {"ALIASES": "default", "CHECKS": {"storage_default": {"timeout": 2}}}
    found, problems = discovered(STORAGES={"default": REMOTE}, LIFESIGNS=lifesigns)
    assert further(found) == {}
    assert problems == []


@pytest.mark.parametrize("value", ["none", True, ["default"]])
def test_aliases__wrong_value(discovered: Any, value: Any) -> None:
    found, [problem] = discovered(STORAGES={"default": REMOTE}, LIFESIGNS={"ALIASES": value})
    assert (problem.id, "must be 'all' or 'default'" in problem.message) == ("E002", True)
    assert "storage_default" in found


def test_options__name_them_as_they_name_the_22(discovered: Any) -> None:
    storages = {"default": REMOTE, "backup": REMOTE, "media": REMOTE}
    lifesigns = {
        "CHECKS": {"storage_default": {"critical": True, "ttl": 60, "write": True, "name": "uploads"}},
        "DISABLED": ["storage_backup"],
        "REQUIRED": ["storage_media"],
    }
    found, problems = discovered(STORAGES=storages, LIFESIGNS=lifesigns)
    assert problems == []
    assert further(found) == {
        "uploads": StorageCheck(alias="default", write=True),
        "storage_media": StorageCheck(alias="media"),
    }
    assert (found["uploads"].options["critical"], found["uploads"].options["ttl"]) == (True, 60)
    _, [problem] = discovered(LIFESIGNS={"CHECKS": {"storage_default": {"wirte": True}}})
    assert (problem.id, problem.message) == (
        "E004",
        "LIFESIGNS['CHECKS']['storage_default'] has an unknown option 'wirte'. Did you mean 'write'?",
    )


def test_required__all_is_of_the_22(discovered: Any, databases: Any) -> None:
    databases(nothing={})
    found, _ = discovered(LIFESIGNS={"REQUIRED": "all"})
    assert isinstance(found["database_nothing"].check, specs.Skipped)
    found, _ = discovered(LIFESIGNS={"REQUIRED": ["database_nothing"]})
    assert isinstance(found["database_nothing"].check, FixedResult)


def test_names__odd_characters_are_replaced(discovered: Any) -> None:
    storages = {"a b/c": REMOTE, "a-b.c": REMOTE, "é" * 200: REMOTE}
    found, problems = discovered(STORAGES=storages)
    assert problems == []
    assert list(further(found)) == ["storage_a_b_c", "storage_a-b.c", f"storage_{'_' * 92}"]


def test_names__two_that_are_the_same(discovered: Any) -> None:
    found, [problem] = discovered(STORAGES={"a b": REMOTE, "a_b": REMOTE})
    assert further(found) == {"storage_a_b": StorageCheck(alias="a b")}
    assert (problem.id, "STORAGES['a_b'] has no check of its own" in problem.message) == ("W002", True)


def test_names__one_of_the_22_wins(discovered: Any, databases: Any) -> None:
    databases(connectivity={"ENGINE": SQLITE, "NAME": "/nowhere/x.sqlite3"})
    found, [problem] = discovered()
    assert found["database_connectivity"].check == DatabaseConnectivity()
    assert (problem.id, "'kind': 'database', 'alias': 'connectivity'" in problem.hint) == ("W002", True)


def own() -> None: ...


@pytest.mark.parametrize("aliases", ["all", "default"])
@pytest.mark.parametrize("entry", [own, {"check": own}])
def test_names__own_check_wins(discovered: Any, aliases: str, entry: Any) -> None:
    lifesigns = {"ALIASES": aliases, "CHECKS": {"storage_default": entry}}
    found, problems = discovered(STORAGES={"default": REMOTE}, LIFESIGNS=lifesigns)
    assert problems == []
    assert further(found) == {"storage_default": own}
    # It is run as it was before there was a check of the alias.
    assert found["storage_default"].options == {"critical": True}


def test_names__declared_check_wins(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DECLARED", {"storage_default": registry.DeclaredCheck(own, {"ttl": 7})})
    found, problems = discovered(STORAGES={"default": REMOTE})
    assert problems == []
    assert further(found) == {"storage_default": own}
    assert found["storage_default"].options == {"critical": True, "ttl": 7}


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"CACHES": {"default": LOCAL, "x": {"BACKEND": "no.such.Cache"}}}, "cache_x"),
        ({"CACHES": {"default": LOCAL, "x": "hunter2"}}, "cache_x"),
        ({"CHANNEL_LAYERS": {"x": {}}}, "channel_layer_x"),
        ({"STORAGES": {"x": {"BACKEND": "no.such.Storage"}}}, "storage_x"),
        ({"STORAGES": {"x": "hunter2"}}, "storage_x"),
    ],
)
def test_wrong_entry__is_a_warning_and_an_error_of_that_check(discovered: Any, setting: Any, name: str) -> None:
    found, [problem] = discovered(**setting)
    assert problem.id == "W005"
    assert "hunter2" not in problem.message
    assert isinstance(found[name].check, FixedResult)
    assert isinstance(found["default_cache"].check, CacheRoundTrip)


@pytest.mark.parametrize("setting", ["CHANNEL_LAYERS", "STORAGES"])
@pytest.mark.parametrize("value", [None, [], "hunter2", {1: {}}])
def test_wrong_setting__has_no_aliases(discovered: Any, setting: str, value: Any) -> None:
    found, _ = discovered(**{setting: value})
    assert further(found) == {}


PROBED = """
import json, time
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
client = Client(headers={"host": "localhost"})
end = time.monotonic() + 20
while client.get("/startup/").status_code != 200 and time.monotonic() < end:
    time.sleep(0.1)
codes = [client.get(path).status_code for path in ("/startup/", "/ready/", "/health/")]
report = client.get("/health/").json()
metrics = client.get("/metrics/").content.decode()
shown = [name for name in report["checks"] if f'health_check_status{{check_name="{name}"' in metrics]
print(json.dumps([codes, report["status"], report["checks"], shown]))
"""


def probed(folder: Path, further: dict[str, Any], **settings: Any) -> Any:
    """The codes of a project with further databases, and its report."""
    lifesigns = {"SHOW_DETAILS": "always", "DISABLED": ["disk_space", "cpu_load", "memory_usage"]}
    found = {"DATABASES": {**sqlite(folder), **further}, "LIFESIGNS": lifesigns, **settings}
    return run_json(folder, found, PROBED)


def test_further_databases__that_are_down_keep_nothing_from_starting(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with closing(sqlite3.connect(tmp_path / "legacy.sqlite3")) as connection:
        connection.executescript("CREATE TABLE django_migrations (id integer PRIMARY KEY, app text)")
    down = {**POSTGRESQL, "HOST": "127.0.0.1", "PORT": free_port()}
    further = {
        "legacy": {"ENGINE": SQLITE, "NAME": str(tmp_path / "legacy.sqlite3")},
        "missing": {"ENGINE": SQLITE, "NAME": str(tmp_path / "missing.sqlite3")},
        "down": down,
    }
    codes, status, checks, shown = probed(tmp_path, further)
    assert (codes, status) == ([200, 200, 200], "degraded")
    assert {name: checks[f"database_{name}"]["status"] for name in further} == {
        "legacy": "healthy",
        "missing": "error",
        "down": "error",
    }
    assert checks["database_legacy"]["details"]["session_count"] is None
    # Its file is left for what first uses it.
    assert not (tmp_path / "missing.sqlite3").exists()
    assert {f"database_{name}" for name in further} <= set(shown)


@pytest.mark.django_db(transaction=True)
def test_alias__is_answered_at_a_url_of_its_own(settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "uploads": REMOTE}
    assert Client().get("/health/storage_uploads/").json()["status"] == "healthy"
    assert "storage_uploads" in get_engine().names


IMPORTED = """
import json, sys
from django_lifesigns.runtime.imports import import_packages

import_packages()
print(json.dumps([name in sys.modules for name in ("redis", "tests.django.remote_storage")]))
"""


@pytest.mark.parametrize(
    ("lifesigns", "expected"),
    [
        ({}, [True, True]),
        ({"ALIASES": "default"}, [False, False]),
        ({"DISABLED": ["cache_sessions"], "CHECKS": {"storage_default": {"enabled": False}}}, [False, False]),
        (
            {"ALIASES": "default", "CHECKS": {"a": {"kind": "cache", "alias": "sessions"}, "b": {"kind": "storage"}}},
            [True, True],
        ),
    ],
)
def test_imports__are_those_of_the_loading_thread(tmp_path: Path, lifesigns: Any, expected: list[bool]) -> None:
    caches = {"default": LOCAL, "sessions": {"BACKEND": REDIS, "LOCATION": "redis://h"}}
    settings = {"DATABASES": sqlite(tmp_path), "CACHES": caches, "STORAGES": {"default": REMOTE, "staticfiles": MEDIA}}
    assert run_json(tmp_path, {**settings, "LIFESIGNS": lifesigns}, IMPORTED) == expected


def test_sqlite_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": {"ENGINE": SQLITE, "NAME": str(tmp_path / "gone" / "db.sqlite3")}}}
    program = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["database_connectivity"])["checks"]["database_connectivity"]))
"""
    found = run_json(tmp_path, settings, program)
    assert (found["status"], found["message"]) == ("error", "DATABASES['default']: unable to open database file")
