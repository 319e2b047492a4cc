"""LIFESIGNS: what each key does, and what is said of wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client

from django_lifesigns.checks.dotted import Dotted
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.runtime.system_checks import messages
from django_lifesigns.settings.conf import READERS, Conf, parse
from django_lifesigns.settings.options import OTHER_OPTIONS, RUN_OPTIONS
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import specs
from tests.django.projects import ROOT

# Django's own system checks of models query the database.
pytestmark = pytest.mark.django_db(transaction=True)


def own_check() -> bool:
    """A check of one's own."""
    return True


def test_parse__defaults() -> None:
    conf = parse({})
    assert conf == Conf(checks={})
    assert (conf.default_timeout, conf.default_ttl, conf.max_stale) == (5, 30, 60)
    assert (conf.ready_budget, conf.ready_max_age, conf.expected_workers) == (0.8, 5, 1)
    assert (conf.share, conf.wedged_after, conf.alive_requires) == ("host", 30, "any")
    assert parse(dict.fromkeys(READERS)) == conf


def test_parse__all() -> None:
    conf = parse({"REQUIRED": "all"})
    assert all(conf.requires(name) for name in CATALOGUE)


@pytest.mark.parametrize(
    ("lifesigns", "id", "named"),
    [
        ({"READY_BUGDET": 1}, "E001", "'READY_BUDGET'"),
        ({"READY_BUDGET": 0}, "E002", "READY_BUDGET"),
        ({"READY_BUDGET": "hunter2"}, "E002", "READY_BUDGET"),
        ({"READY_MAX_AGE": float("nan")}, "E002", "READY_MAX_AGE"),
        ({"DEFAULT_TIMEOUT": True}, "E002", "DEFAULT_TIMEOUT"),
        ({"EXPECTED_WORKERS": -1}, "E002", "EXPECTED_WORKERS"),
        ({"DISABLED": "memory_usage"}, "E002", "DISABLED"),
        ({"MATERIALIZED_VIEWS": [7]}, "E002", "MATERIALIZED_VIEWS"),
        ({"GOOGLE_MAPS_BASE_URL": "hunter2"}, "E002", "GOOGLE_MAPS_BASE_URL"),
        ({"TASK_QUEUE": 7}, "E002", "TASK_QUEUE"),
        ({"SHOW_DETAILS": "hunter2"}, "E002", "'authorized', 'always' or 'never'"),
        ({"TOKENS": "hunter2"}, "E002", "TOKENS"),
        ({"TOKENS": [""]}, "E002", "TOKENS"),
        ({"TOKENS": ["hunter2 "]}, "E002", "TOKENS"),
        ({"TOKENS": ["hunter2\n"]}, "E002", "TOKENS"),
        ({"TOKENS": ["hüntér2"]}, "E002", "TOKENS"),
        ({"NETWORKS": ["10.0.0.0/33"]}, "E002", "NETWORKS"),
        ({"NETWORKS": ["localhost"]}, "E002", "NETWORKS"),
        ({"NETWORKS": "10.0.0.0/8"}, "E002", "NETWORKS"),
        ({"TRUSTED_PROXIES": True}, "E002", "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": 1}, "E002", "networks of your proxies"),
        ({"TRUSTED_PROXIES": ["proxy.internal"]}, "E002", "TRUSTED_PROXIES"),
        ({"SHARE": "hunter2"}, "E002", "'host', 'process' or 'fleet'"),
        ({"FLEET": {"URI": "redis://hunter2"}}, "E002", "unknown key 'URI'"),
        ({"STORE_PATH": "hunter2"}, "E002", "absolute path"),
        ({"STORE_PATH": 7}, "E002", "STORE_PATH"),
        ({"BACKGROUND": "hunter2"}, "E002", "True or False"),
        ({"PROBE_SERVERS": "127.0.0.1:9464"}, "E001", "'PROBE_SERVER'"),
        ({"PROBE_SERVER": "hunter2"}, "E002", "127.0.0.1:9464"),
        ({"PROBE_SERVER": "localhost:9464"}, "E002", "PROBE_SERVER"),
        ({"PROBE_SERVER": 9464}, "E002", "PROBE_SERVER"),
        ({"PROBE_SERVER": "::1:9464"}, "E002", "[::1]:9464"),
        ({"PROBE_SERVER": "[127.0.0.1]:9464"}, "E002", "PROBE_SERVER"),
        ({"PROBE_SERVER": "127.0.0.1:0"}, "E002", "PROBE_SERVER"),
        ({"PROBE_SERVER": "127.0.0.1:65536"}, "E002", "PROBE_SERVER"),
        ({"PROBE_SERVER": "unix:hunter2"}, "E002", "unix:/path"),
        ({"PROBE_SERVER": ["127.0.0.1:9464", 7]}, "E002", "PROBE_SERVER"),
        ({"WEDGED_AFTER": 0}, "E002", "WEDGED_AFTER"),
        ({"ALIVE_REQUIRES": "hunter2"}, "E002", "'any' or 'all'"),
        ({"DUMP_ON_WEDGE": 1}, "E002", "DUMP_ON_WEDGE"),
        # Which part is wrong, and what may be meant.
        ({"MATERIALIZED_VIEWS": ["a", 7]}, "E002", "must be a list of strings: item 2 is of type int."),
        ({"DISABLED": "memory_usage"}, "E002", "it is one string. Write it in brackets"),
        ({"REQUIRED": "All"}, "E002", "it is a string, but not 'all'. Did you mean 'all'?"),
        ({"REQUIRED": ["disk_space", None]}, "E002", "item 2 is of type NoneType"),
        ({"NETWORKS": ["10.0.0.0/8", "hunter2"]}, "E002", "item 2 is neither"),
        ({"TRUSTED_PROXIES": ["unix", "hunter2"]}, "E002", "item 2 is neither"),
        ({"TOKENS": ["x" * 16, "hunter2 "]}, "E002", "item 2 is empty, or has another character"),
        ({"PROBE_SERVER": ["127.0.0.1:9464", "localhost:9464"]}, "E002", "item 2: its host is a name"),
        ({"PROBE_SERVER": "127.0.0.1"}, "E002", "there is no port from 1 to 65535"),
        ({"PROBE_SERVER": f"127.0.0.1:{'9' * 5000}"}, "E002", "there is no port from 1 to 65535"),
        ({"PROBE_SERVER": "::1:9464"}, "E002", "an IPv6 address stands in brackets"),
        ({"CHECKS": {"mine": list, 7: list}}, "E002", "has the key 7, which is not a string"),
        ({"READY_BUDGET": "0.8"}, "E002", "it is a number in quotes"),
        ({"EXPECTED_WORKERS": "2"}, "E002", "it is a number in quotes"),
        ({"SHOW_DETAILS": "Allways"}, "E002", "Did you mean 'always'?"),
        ({"SHARE": "hunter2"}, "E002", "'host', 'process' or 'fleet': it is none of these."),
        ({"SHARE": "HOST"}, "E002", "Did you mean 'host'?"),
        ({"ALIVE_REQUIRES": "al"}, "E002", "Did you mean 'all'?"),
        ({"DUMP_ON_WEDGE": "true"}, "E002", "Did you mean True?"),
        ({"BACKGROUND": 0}, "E002", "Did you mean False?"),
        ({"checks": {}}, "E001", "Did you mean 'CHECKS'?"),
        ({"TASK_QUEUE": "Procrastinat"}, "E002", "Did you mean 'procrastinate'?"),
        ({"CELERY_SIGNALS": "hunter2"}, "E002", "CELERY_SIGNALS"),
        # Without the middleware nothing starts them.
        ({"PROBE_SERVER": "127.0.0.1:9464"}, "W013", "ProbeMiddleware"),
        ({"BACKGROUND": True}, "W013", "ProbeMiddleware"),
        # Exposed to more than was meant.
        ({"SHOW_DETAILS": "always"}, "W010", "SHOW_DETAILS"),
        ({"TOKENS": ["hunter2"]}, "W010", "secrets.token_urlsafe"),
        ({"NETWORKS": ["0.0.0.0/0"]}, "W010", "0.0.0.0/0"),
        ({"NETWORKS": ["::/0"]}, "W010", "::/0"),
        ({"CHECKS": ["hunter2"]}, "E002", "CHECKS"),
        ({"DISABLED": ["memory_usages"]}, "E003", "'memory_usage'"),
        ({"REQUIRED": ["memory_usages"]}, "E003", "'memory_usage'"),
        ({"CHECKS": {"memory_usages": {"timeout": 1}}}, "E003", "'memory_usage'"),
        ({"CHECKS": {"memory_usage": {"timout": 1}}}, "E004", "'timeout'"),
        ({"CHECKS": {"memory_usage": {"timeout": 0}}}, "E004", "memory_usage"),
        ({"CHECKS": {"memory_usage": {"timeout": "hunter2"}}}, "E004", "memory_usage"),
        ({"CHECKS": {"memory_usage": {"critical": "no"}}}, "E004", "critical"),
        ({"CHECKS": {"memory_usage": {"enabled": "no"}}}, "E004", "'enabled'"),
        ({"CHECKS": {"memory_usage": {"depends_on": "x"}}}, "E004", "'depends_on'"),
        ({"CHECKS": {"memory_usage": {"depends_on": ["nothing"]}}}, "E004", "nothing"),
        ({"CHECKS": {"memory_usage": {"breaker": {"failurs": 1}}}}, "E004", "failures"),
        ({"CHECKS": {"memory_usage": {"thresholds": {"degraded_above": "x", "error_above": 1}}}}, "E004", "thresholds"),
        ({"CHECKS": {"memory_usage": {"thresholds": {"degraded_above": 95, "error_above": 90}}}}, "E004", "thresholds"),
        (
            {"CHECKS": {"default_cache": {"thresholds": {"degraded_above": 1, "error_above": 2}}}},
            "E004",
            "'thresholds'",
        ),
        *(
            (
                {"CHECKS": {"pending_tasks": {"thresholds": {"degraded_above": low, "error_above": high}}}},
                "E004",
                "0 to",
            )
            for low, high in ((100, 90), (-1, 90))
        ),
        (
            {"CHECKS": {"pending_tasks": {"thresholds": {"degraded_above": float("nan"), "error_above": 9}}}},
            "E004",
            "numbers",
        ),
        (
            {"CHECKS": {"pending_tasks": {"thresholds": specs.Thresholds(degraded_above=2, error_above=1)}}},
            "E004",
            "0 to",
        ),
        *(
            ({"CHECKS": {"failed_tasks": {"window_minutes": wrong}}}, "E004", "'window_minutes'")
            for wrong in ("hunter2", 0, -5, True, 1.5, 10**9)
        ),
        ({"CHECKS": {"task_workers": {"heartbeat_window_minutes": 0}}}, "E004", "'heartbeat_window_minutes'"),
        ({"CHECKS": {"task_workers": {"expected_workers": "hunter2"}}}, "E004", "'expected_workers'"),
        ({"CHECKS": {"default_cache": {"views": "hunter2"}}}, "E004", "'views'"),
        ({"CHECKS": {"default_cache": {"lag": float("inf")}}}, "E004", "'lag'"),
        ({"CHECKS": {"mine": {"check": 7}}}, "E004", "mine"),
        ({"CHECKS": {"mine": 7}}, "E004", "mine"),
        ({"CHECKS": {"my check": own_check}}, "E004", "my check"),
        ({"CHECKS": {"mine": "tests.django.test_conf.no_check"}}, "E004", "no_check"),
        ({"CHECKS": {"mine": {"kind": "tpc", "host": "h", "port": 1}}}, "E004", "tcp"),
        (7, "E002", "LIFESIGNS"),
    ],
)
def test_system_check__names_key_and_fix(settings: Any, lifesigns: Any, id: str, named: str) -> None:
    settings.LIFESIGNS = lifesigns
    messages = [message for message in run_checks() if str(message.id).startswith("lifesigns.")]
    assert [message.id for message in messages] == [f"lifesigns.{id}"]
    assert named in f"{messages[0].msg} {messages[0].hint}"
    assert "hunter2" not in f"{messages[0].msg} {messages[0].hint}"
    # The others run all the same.
    assert get_engine().check("cpu_load")["status"] != "skipped"


@pytest.mark.parametrize(
    ("lifesigns", "django", "exposed"),
    [
        ({"NETWORKS": ["10.0.0.0/8"]}, {}, False),
        ({"NETWORKS": ["10.0.0.0/8"]}, {"USE_X_FORWARDED_HOST": True}, True),
        ({"NETWORKS": ["10.0.0.0/8"]}, {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, True),
        ({"NETWORKS": ["10.0.0.0/8"], "TRUSTED_PROXIES": ["10.0.0.1"]}, {"USE_X_FORWARDED_HOST": True}, False),
        ({"NETWORKS": ["10.0.0.0/8"], "TRUSTED_PROXIES": ["::/0"]}, {}, True),
        ({"TOKENS": ["x" * 16]}, {}, False),
        ({"SHOW_DETAILS": "always"}, {"DEBUG": True}, False),
        ({"TOKENS": ["short"]}, {"DEBUG": True}, True),
        ({"SHOW_DETAILS": "never", "TOKENS": ["short"], "NETWORKS": ["::/0"]}, {}, False),
    ],
)
def test_system_check__exposure(settings: Any, lifesigns: Any, django: Any, exposed: bool) -> None:
    settings.LIFESIGNS = lifesigns
    for name, value in django.items():
        setattr(settings, name, value)
    found = [message.id for message in run_checks() if str(message.id).startswith("lifesigns.")]
    assert found == ["lifesigns.W010"] * exposed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("127.0.0.1:9464", ("127.0.0.1:9464",)),
        (["[::]:9464", "unix:/run/shop/probes"], ("[::]:9464", "unix:/run/shop/probes")),
        ([], ()),
    ],
)
def test_probe_server__one_address_or_several(value: Any, expected: Any) -> None:
    conf = parse({"PROBE_SERVER": value})
    assert (conf.probe_server, conf.problems) == (expected, ())


def test_conf__repr_shows_no_secret() -> None:
    conf = parse({"TOKENS": ["hunter2"], "TASK_QUEUE": "hunter2", "CHECKS": {"mine": {"password": "hunter2"}}})
    assert conf.tokens == ("hunter2",)
    assert "hunter2" not in repr(conf)


def test_system_check__nothing_to_say() -> None:
    assert run_checks() == []


def test_engine__wrong_check_is_an_error_result(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.LIFESIGNS = {"CHECKS": {"memory_usage": {"timeout": -1}}, "SHOW_DETAILS": "always"}
    report = Client().get("/health/").json()
    assert report["status"] == "degraded"
    assert report["checks"]["memory_usage"]["status"] == "error"
    assert "LIFESIGNS['CHECKS']['memory_usage']" in report["checks"]["memory_usage"]["message"]
    assert "LIFESIGNS['CHECKS']['memory_usage']" in caplog.text


def test_checks__disabled(settings: Any) -> None:
    settings.LIFESIGNS = {"DISABLED": ["memory_usage"], "CHECKS": {"cpu_load": {"enabled": False}}}
    assert set(CATALOGUE) - set(get_engine().names) == {"memory_usage", "cpu_load"}


def test_checks__disabled_database(settings: Any, database: Any) -> None:
    database(ENGINE="django.db.backends.postgresql", NAME="app")
    settings.LIFESIGNS = {"DISABLED": ["database_connectivity"]}
    assert get_runtime().problems == ()
    assert len(get_engine().names) == 21


@pytest.mark.parametrize(
    "check",
    [
        own_check,
        "tests.django.test_conf.own_check",
        specs.Cpu(),
        {"kind": "cpu"},
        {"check": own_check, "critical": False, "timeout": 1, "ttl": 5, "failures_before_error": 2},
        {"check": {"kind": "cpu"}, "breaker": {"failures": 2}},
    ],
)
def test_checks__own(settings: Any, check: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": check}}
    assert get_runtime().problems == ()
    assert get_engine().names[-1] == "mine"
    assert get_engine().check("mine")["status"] in ("healthy", "degraded", "error")


def test_checks__own_in_place_of_a_known_one(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mqtt_broker": own_check}}
    assert get_engine().names == tuple(CATALOGUE)
    assert get_engine().check("mqtt_broker")["status"] == "healthy"


def test_checks__parents_are_registered_first(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"memory_usage": {"depends_on": ["mine"]}, "mine": lambda: False}}
    assert get_runtime().problems == ()
    assert get_engine().run(["mine", "memory_usage"])["checks"]["memory_usage"]["blocked_by"] == "mine"


def test_checks__circle(settings: Any) -> None:
    checks = {name: {"check": own_check, "depends_on": [other]} for name, other in (("a", "b"), ("b", "a"))}
    settings.LIFESIGNS = {"CHECKS": checks}
    assert [problem.id for problem in get_runtime().problems] == ["E004"]
    assert {"a", "b"} <= set(get_engine().names)


def test_checks__module_that_breaks(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": "tests.django.broken_module.check"}}
    assert get_engine().check("mine")["error_type"] == "ZeroDivisionError"


def test_dotted__not_importable() -> None:
    assert Dotted("no.such.check")() == {"status": "error", "message": "no.such.check cannot be imported"}


@pytest.mark.parametrize("path", [".", "..", ".x", ".os.getcwd", "os..getcwd", "os.getcwd.", "a b.c"])
def test_checks__path_that_is_none(settings: Any, path: str) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": {"check": path}}}
    [found] = [found for found in messages() if "CHECKS" in found.msg]
    assert found.msg == f"LIFESIGNS['CHECKS']['mine'] names {path!r}, which cannot be imported."
    assert found.hint == "A dotted path has the form package.module.name."
    result = get_engine().check("mine")
    assert (result["status"], result["message"]) == ("error", f"{path} cannot be imported")


def test_checks__module_that_breaks_is_a_message(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": "tests.django.broken_module.check"}}
    [found] = [found for found in messages() if "CHECKS" in found.msg]
    assert "'tests.django.broken_module.check', which cannot be imported (ZeroDivisionError at " in found.msg


@pytest.mark.parametrize(
    ("name", "options", "field", "value"),
    [
        ("database_performance", {"slow_ms": 50}, "slow_ms", 50),
        ("disk_space", {"paths": ["/tmp"]}, "paths", ["/tmp"]),
        (
            "cpu_load",
            {"thresholds": {"degraded_above": 2, "error_above": 4}},
            "thresholds",
            specs.Thresholds(degraded_above=2, error_above=4),
        ),
        (
            "cpu_load",
            {"thresholds": specs.Thresholds(degraded_above=2, error_above=4)},
            "thresholds",
            specs.Thresholds(degraded_above=2, error_above=4),
        ),
        ("failed_tasks", {"window_minutes": 30}, "window_minutes", 30),
    ],
)
def test_checks__fields(discovered: Any, database: Any, name: str, options: Any, field: str, value: Any) -> None:
    database(ENGINE="django.db.backends.postgresql", NAME="app")
    found, problems = discovered(LIFESIGNS={"CHECKS": {name: options}})
    assert problems == []
    assert getattr(found[name].check, field) == value


def test_engine__one_until_settings_change(settings: Any) -> None:
    engine = get_engine()
    assert get_engine() is engine
    settings.LIFESIGNS = {"DISABLED": ["cpu_load"]}
    assert get_engine() is not engine


def documented(heading: str) -> list[str]:
    """The first column of the first table below a heading."""
    section = (ROOT / "docs/reference/settings.md").read_text().partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = [line for line in section.partition("|---|")[2].partition("\n\n")[0].splitlines() if line.startswith("| ")]
    return [row.split("`")[1] for row in rows]


def test_settings_page__names_every_key() -> None:
    assert sorted(documented("# Settings")) == sorted(READERS)


def test_settings_page__names_every_option() -> None:
    assert sorted(documented("## Options of a check")) == sorted({*RUN_OPTIONS, *OTHER_OPTIONS, "thresholds"})
