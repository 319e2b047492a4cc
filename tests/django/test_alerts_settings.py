"""`ALERTS`: what each mistake is called, that it costs no other channel, and what the engine is given."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from django.core import mail
from django.core.checks import run_checks
from django.core.mail.backends import locmem
from django.test import override_settings

from django_lifesigns.alerts.channels import DjangoMailChannel, engine_channel
from django_lifesigns.alerts.config import engine_alerts
from django_lifesigns.runtime.engine import build, get_engine, get_runtime
from django_lifesigns.settings.conf import parse
from django_lifesigns.settings.placement import MIDDLEWARE
from django_lifesigns.settings.secrets import secrets
from lifesigns.redaction import hide, redact
from tests.django import settings as plain

# Django's own system checks of models ask the database.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:The EMAIL_.* setting is deprecated"),
]

SECRET = f"whsec_{b64encode(bytes(range(32))).decode()}"
HOOK = {"type": "webhook", "url": "https://ops.example.com/hook", "secrets": [SECRET]}
SMTP = "django.core.mail.backends.smtp.EmailBackend"
NOTICE = {
    "id": "n1",
    "incident_id": "i1",
    "kind": "triggered",
    "title": "[shop] CRITICAL: db is failing",
    "text": "db of shop is failing.\n\nSeverity: critical",
}


@pytest.fixture(autouse=True)
def _placed(settings: Any) -> None:
    """Without the middleware nothing runs in the background, which is another warning."""
    settings.MIDDLEWARE = [MIDDLEWARE, *plain.MIDDLEWARE]


def said(settings: Any, alerts: Any, **lifesigns: Any) -> tuple[list[str], str]:
    """The ids and the texts of what `manage.py check` says."""
    settings.LIFESIGNS = {"ALERTS": alerts, **plain.LIFESIGNS, **lifesigns}
    messages = [message for message in run_checks() if str(message.id).startswith("lifesigns.")]
    text = " ".join(f"{message.msg} {message.hint}" for message in messages)
    return [str(message.id).removeprefix("lifesigns.") for message in messages], text


@pytest.mark.parametrize(
    ("wrong", "ids", "named"),
    [
        ({"CHANELS": {}}, ["E001"], "'CHANNELS'"),
        ({"CHANNELS": ["hunter2"]}, ["E002", "W009"], "names of channels as keys"),
        ({"CHANNELS": {7: HOOK}}, ["E002", "W009"], "a key is of type int"),
        ({"CHANNELS": {"x": "hunter2"}}, ["E002"], "must be a dict with a 'type'"),
        ({"CHANNELS": {"x": {}}}, ["E002"], "pagerduty"),
        ({"CHANNELS": {"x": {"type": "pagerdutty", "routing_key": "hunter2"}}}, ["E002"], "'pagerduty'"),
        ({"CHANNELS": {"x": {"type": "pagerduty", "routing_kye": "hunter2"}}}, ["E002"], "routing_key"),
        ({"CHANNELS": {"x": {**HOOK, "secrets": ["whsec_aHVudGVyMg=="]}}}, ["E002"], "24 to 64"),
        ({"CHANNELS": {"x": {**HOOK, "url": "hunter2"}}}, ["E002"], "url"),
        ({"CHANNELS": {"x": {**HOOK, "url": "http://ops.example.com/hunter2"}}}, ["W015"], "['x']['url']"),
        ({"CHANNELS": {"x": {**HOOK, "url": "http://127.0.0.1:9/hunter2"}}}, [], ""),
        ({"CHANNELS": {"x": {"type": "mail", "to": ["hunter2"]}}}, ["E002"], "addresses"),
        ({"CHANNELS": {"x": {"type": "mail", "to": ["a@b"], "cc": ["hunter2"]}}}, ["E002"], "unknown key 'cc'"),
        ({"CHANNELS": {"x": {"type": "apprise", "url": "hunter2"}}}, ["E002"], "apprise knows"),
        (
            {"CHANNELS": {"x": {"type": "apprise", "url": "ntfy://topic", "hunter": 2}}},
            ["E002"],
            "unknown fields: hunter",
        ),
        ({"CHANNELS": {"x": {"type": "python", "callable": print}}}, ["E002"], "'type' is none of"),
        ({"ROUTES": {"channels": ["hook"]}}, ["E002"], "Write it in brackets"),
        ({"ROUTES": ["hunter2"]}, ["E002"], "['ROUTES'][0] must be a dict"),
        ({"CHANNELS": {"x": {"type": "pagerduty", "routing_key": "0" * 32}}}, ["E002"], "32 letters and digits"),
        ({"CHANNELS": {"x": {"type": "pagerduty", "routing_key": "hunter2"}}}, ["E002"], "32 letters and digits"),
        ({"ROUTES": [{"checks": ["cpu_load"]}]}, ["E002", "W009"], "'channels' must be"),
        ({"ROUTES": [{"checks": "cpu_load", "severity": "error", "group": "worker", "channels": "hook"}]}, [], ""),
        ({"ROUTES": [{"channels": "hok"}]}, ["E006", "W009"], "Did you mean 'hook'?"),
        (
            {"ROUTES": [{"chanels": ["hook"], "channels": ["hook"]}]},
            ["E002", "W009"],
            "'chanels': did you mean 'channels'",
        ),
        ({"ROUTES": [{"channels": ["hok"]}]}, ["E006", "W009"], "Did you mean 'hook'?"),
        ({"ROUTES": [{"channels": ["hook", "hok"]}]}, ["E006"], "Did you mean 'hook'?"),
        ({"ROUTES": [{"checks": ["hunter_*"], "channels": ["hook"]}]}, ["W002", "W009"], "matches no check"),
        ({"ROUTES": [{"checks": ["cpu_laod"], "channels": ["hook"]}]}, ["E003", "W009"], "'cpu_load'"),
        ({"ROUTES": [{"checks": ["readiness", "cpu_*"], "channels": ["hook"]}]}, [], ""),
        ({"ROUTES": [{"severity": ["sever"], "channels": ["hook"]}]}, ["E002", "W009"], "'critical'"),
        ({"ROUTES": [{"group": ["wrker"], "channels": ["hook"]}]}, ["W002"], "Did you mean 'worker'?"),
        ({"FAILURES": 0}, ["E002"], "['FAILURES']"),
        ({"SUCCESSES": "2"}, ["E002"], "['SUCCESSES']"),
        ({"SECONDS": -1}, ["E002"], "['SECONDS']"),
        ({"REMINDER": "hunter2"}, ["E002"], "['REMINDER']"),
        ({"REMINDER": 4}, ["W018"], "sent again after 4 s"),
        ({"WEDGED_AFTER": 4}, ["E001"], "Set LIFESIGNS['WEDGED_AFTER']"),
        ({"CHANNELS": {"x": {**HOOK, "secret": "hunter2"}}}, ["E002"], "'secret': did you mean 'secrets'?"),
        ({"MAINTENANCE": [{"cron": "0 0 30 2 *", "minutes": 5}]}, ["E002"], "['MAINTENANCE'][0]"),
        ({"MAINTENANCE": [{"cron": "0 0 * *", "minutes": 5}]}, ["E002"], "five fields"),
        ({"MAINTENANCE": [{"start": "2026-12-02T22:00Z", "end": "2026-12-01T22:00Z"}]}, ["E002"], "after start"),
        (
            {"MAINTENANCE": [{"cron": "0 3 * * SUN", "minutes": 60, "checks": ["cpu_laod"]}]},
            ["E003", "W009"],
            "cpu_load",
        ),
        ({"PING_URL": "hunter2"}, ["E002"], "['PING_URL']"),
        ({"PING_URL": "http://ping.example.com/hunter2-0123"}, ["W015"], "['PING_URL']"),
        ({"APPLICATION": "my shop"}, ["E002"], "['APPLICATION']: the name"),
        ({"APPLICATION": 7}, ["E002"], "['APPLICATION']: must be a str, not int"),
        ({"URL": 7}, ["E002"], "['URL']: must be a str, not int"),
        ({"URL": "/health/"}, ["E002"], "['URL']: must begin with https:// or http://"),
    ],
)
def test_system_check_names_mistake_and_the_rest_alerts(settings: Any, wrong: Any, ids: Any, named: str) -> None:
    is_whole = isinstance(wrong.get("CHANNELS"), list) or ("CHANNELS" in wrong and 7 in wrong["CHANNELS"])
    channels = wrong["CHANNELS"] if is_whole else {"hook": HOOK, **wrong.get("CHANNELS", {})}
    groups = {"worker": {"checks": ["cpu_load"], "critical": []}}
    found, text = said(settings, {**wrong, "CHANNELS": channels}, GROUPS=groups)
    assert found == ids, text
    assert named in text
    assert "hunter2" not in text
    assert "alerts: " not in text
    if not is_whole:
        assert "hook" in get_runtime().channels
    assert get_engine().check("cpu_load")["status"] != "skipped"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"runbook": 7}, "runbook"),
        ({"runbok": "https://x"}, "'runbook'"),
    ],
)
def test_system_check_names_mistake_of_a_check(settings: Any, options: Any, named: str) -> None:
    ids, text = said(settings, {"CHANNELS": {"hook": HOOK}}, CHECKS={"memory_usage": options})
    assert ids == ["E004"]
    assert named in text


@pytest.mark.parametrize(
    ("alert", "named"),
    [
        ({"failurs": 1}, "did you mean 'alert.failures'?"),
        ({"failures": 0}, "failures"),
        ({"severity": "severe"}, "severity"),
        ("severe", "alert must be a dict"),
        (7, "alert must be a dict"),
    ],
)
def test_mistake_in_how_a_check_alerts_does_not_keep_it_from_running(settings: Any, alert: Any, named: str) -> None:
    checks = {"mine": {"check": lambda: True, "critical": True, "alert": alert}}
    ids, text = said(settings, {"CHANNELS": {"hook": HOOK}}, CHECKS=checks)
    assert ids == ["E004"]
    assert named in text
    assert "LIFESIGNS['CHECKS']['mine']: " in text
    assert "the check runs, and alerts by the counts of LIFESIGNS['ALERTS']." in text
    assert get_engine().check("mine")["status"] == "healthy"


def test_check_that_is_wrong_in_more_than_how_it_alerts_is_an_error(settings: Any) -> None:
    checks = {"mine": {"check": lambda: True, "timeout": -1, "alert": {"failurs": 1}}}
    ids, text = said(settings, {"CHANNELS": {"hook": HOOK}}, CHECKS=checks)
    assert (ids, "It is reported as an error" in text) == (["E004"], True)
    assert get_engine().check("mine")["status"] == "error"


def test_alert_of_a_check_is_taken(settings: Any) -> None:
    alert = {"failures": 1, "successes": 1, "seconds": 5, "reminder": 0, "severity": "warning", "enabled": True}
    options = {"alert": alert, "runbook": "https://runbooks.example.com/memory"}
    assert said(settings, {"CHANNELS": {"hook": HOOK}}, CHECKS={"memory_usage": options}) == ([], "")


def test_alerts_without_a_channel_or_with_a_name_of_others(settings: Any) -> None:
    assert said(settings, {"FAILURES": 3})[0] == ["W009"]
    settings.ROOT_URLCONF = "config.urls"
    alerts, problems = engine_alerts(parse({"ALERTS": {"CHANNELS": {"hook": HOOK}}}), ["cpu_load"], [])
    assert (alerts["APPLICATION"], [problem.id for problem in problems]) == ("config", ["W016"])
    named = {"APPLICATION": "shop", "CHANNELS": {"hook": HOOK}}
    assert engine_alerts(parse({"ALERTS": named}), ["cpu_load"], [])[1] == []


@pytest.mark.parametrize(
    ("runbook", "is_meant"),
    [
        ("https://wiki.example.com/cpu", True),
        ("see 'CPU' in the wiki", True),
        ("wiki", False),
        ("wiki.example.com/cpu", False),
        ("/cpu ", False),
    ],
)
def test_runbook_that_leads_nowhere_is_warned_of(settings: Any, runbook: str, is_meant: bool) -> None:
    ids, text = said(settings, {"CHANNELS": {"hook": HOOK}}, CHECKS={"cpu_load": {"runbook": runbook}})
    assert (ids, "['CHECKS']['cpu_load'] has a 'runbook'" in text) == ([] if is_meant else ["W018"], not is_meant)


def test_routes_without_a_channel_are_a_warning(settings: Any) -> None:
    channels = {"hook": HOOK}
    ids, text = said(settings, {"CHANNELS": channels, "ROUTES": [{"channels": []}]})
    assert (ids, "no alert is sent" in text) == (["W009"], True)
    # Of some checks nobody is to know; the others go to all channels.
    assert said(settings, {"CHANNELS": channels, "ROUTES": [{"checks": ["cpu_load"], "channels": []}]}) == ([], "")
    both = [{"channels": []}, {"checks": ["cpu_load"], "channels": ["hook"]}]
    assert said(settings, {"CHANNELS": channels, "ROUTES": both}) == ([], "")


@pytest.mark.parametrize(
    ("backend", "is_debug", "ids"),
    [
        ("console", False, ["W009"]),
        ("dummy", False, ["W009"]),
        ("filebased", False, ["W009"]),
        ("console", True, []),
        ("smtp", False, []),
    ],
)
def test_mail_that_is_not_sent_is_a_warning(settings: Any, backend: str, is_debug: bool, ids: list[str]) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    settings.DEBUG, settings.ADMINS, settings.EMAIL_FILE_PATH = is_debug, ["ops@example.com"], "/nowhere"
    found, text = said(settings, {"CHANNELS": {"mail": {"type": "mail"}}})
    assert [each for each in found if each == "W009"] == ids
    assert not ids or f"through django.core.mail.backends.{backend}.EmailBackend, which sends nothing" in text


def test_alerts_without_the_middleware_have_no_effect(settings: Any) -> None:
    settings.MIDDLEWARE = plain.MIDDLEWARE
    ids, text = said(settings, {"CHANNELS": {"hook": HOOK}})
    assert (ids, "LIFESIGNS['ALERTS'] has no effect" in text) == (["W013"], True)


def test_whole_example_of_the_settings_is_taken(settings: Any) -> None:
    settings.ADMINS = ["ops@example.com"]
    channels = {
        "oncall": {
            "type": "pagerduty",
            "routing_key": "0123456789abcdef" * 2,
            "api_url": "https://events.pagerduty.com",
        },
        "ops": {"type": "opsgenie", "api_key": "key", "api_url": "https://api.atlassian.com/jsm/ops/integration"},
        "chat": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T0/B0/x"},
        "mail": {"type": "mail"},
        "hook": HOOK,
        "other": {"type": "apprise", "url": "ntfy://topic"},
    }
    windows = [
        {"start": "2026-12-01T22:00Z", "end": "2026-12-02T01:00Z", "checks": ["*"]},
        {"cron": "0 3 * * SUN", "minutes": 60},
    ]
    alerts = {
        "CHANNELS": channels,
        "ROUTES": [{"checks": ["database_*"], "severity": ["critical"], "channels": ["oncall"]}],
        "FAILURES": 3,
        "SUCCESSES": 2,
        "SECONDS": 0,
        "REMINDER": 14_400,
        "MAINTENANCE": windows,
        "PING_URL": "https://ping.example.com/x",
    }
    assert said(settings, alerts) == ([], "")
    assert set(get_runtime().channels) == set(channels)


def test_test_run_of_a_project_sends_no_alerts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LIFESIGNS = {"ALERTS": {"CHANNELS": {"hook": HOOK}}, "SHARE": "process"}
    assert not _alerts(get_engine())
    monkeypatch.setattr("django_lifesigns.runtime.engine.is_under_test", lambda: False)
    assert _alerts(build(get_runtime().conf).engine)


def _alerts(engine: Any) -> bool:
    try:
        engine.test_channel("nothing")
    except LookupError as error:
        return "hook" in str(error)
    except ValueError:
        return False
    raise AssertionError


# Mail


def test_mail_goes_natively_through_the_server_of_the_settings(settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "mail.example.com", 587
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD, settings.EMAIL_USE_TLS = "user", "pass", True
    settings.ADMINS, settings.SERVER_EMAIL = ["ops@example.com"], "server@example.com"
    channel = engine_channel({"type": "mail"})
    server: Any = channel["server"]
    assert {key: channel[key] for key in ("type", "to", "from")} == {
        "type": "mail",
        "to": ["ops@example.com"],
        "from": "server@example.com",
    }
    assert (server["host"], server["port"], server["security"]) == ("mail.example.com", 587, "starttls")
    assert (server["username"], server["password"]) == ("user", "pass")
    own = {"type": "mail", "to": ["a@b"], "from": "c@d", "server": {"host": "h"}}
    assert engine_channel(own) == own


@pytest.mark.parametrize("backend", ["anymail.backends.amazon_ses.EmailBackend", "django_ses.SESBackend"])
def test_mail_of_an_api_goes_through_its_backend(settings: Any, backend: str) -> None:
    settings.EMAIL_BACKEND = backend
    channel = engine_channel({"type": "mail", "to": ["ops@example.com"]})
    assert channel["type"] == "python"
    assert isinstance(channel["callable"], DjangoMailChannel)


def test_mail_without_a_recipient_is_refused(settings: Any) -> None:
    settings.ADMINS = []
    with pytest.raises(ValueError, match="ADMINS has no address"):
        engine_channel({"type": "mail"})


# Since Django 6.1 for a project without MAILERS.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_mail_through_the_backend_reports_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    send = DjangoMailChannel.of({"type": "mail", "to": ["ops@example.com"], "from": "us@example.com"})
    assert send(NOTICE) == {"state": "delivered", "answer": "Accepted by the mail backend"}
    (message,) = mail.outbox
    assert (message.subject, message.body) == (NOTICE["title"], NOTICE["text"])
    assert (message.from_email, message.to) == ("us@example.com", ["ops@example.com"])
    assert message.extra_headers["References"] == "<i1@lifesigns>"
    mail.outbox.clear()
    # A line break in a title must not become a header.
    assert send({**NOTICE, "title": "a\nBcc: x@y"})["state"] == "delivered"
    assert mail.outbox[0].subject == "a Bcc: x@y"

    def refuse(*_: object) -> int:
        raise ConnectionRefusedError("hunter2")

    monkeypatch.setattr(locmem.EmailBackend, "send_messages", refuse)
    assert send(NOTICE) == {"state": "failed", "answer": "ConnectionRefusedError"}


@pytest.mark.parametrize("admins", [["ops@example.com"], [("Ops", "ops@example.com")]])
@override_settings(SERVER_EMAIL="root@localhost", DEFAULT_FROM_EMAIL="shop@example.com")
def test_mail_goes_to_admins_in_both_forms(settings: Any, admins: Any) -> None:
    settings.EMAIL_BACKEND, settings.ADMINS = SMTP, admins
    channel = engine_channel({"type": "mail"})
    assert (channel["to"], channel["from"]) == (["ops@example.com"], "shop@example.com")


# Secrets

PLANTED = {
    "oncall": {"type": "pagerduty", "routing_key": "planted0123456789routing01234567"},
    "ops": {"type": "opsgenie", "api_key": "planted-opsgenie-1"},
    "chat": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T0PLANTED/B0PLANTED/plantedXYZ0"},
    "bot": {"type": "slack", "bot_token": "xoxb-planted-1", "channel": "#ops"},
    "hook": {"type": "webhook", "url": "https://u:planted-pw@h.example.com/in?key=planted-key", "secrets": [SECRET]},
    "other": {"type": "apprise", "url": "tgram://123456789:plantedABC/987654321/"},
}
MUST_HIDE = [
    "planted0123456789routing01234567",
    "planted-opsgenie-1",
    "https://hooks.slack.com/services/T0PLANTED/B0PLANTED/plantedXYZ0",
    "plantedXYZ0",
    "T0PLANTED",
    "xoxb-planted-1",
    "planted-pw",
    "planted-key",
    SECRET,
    "123456789:plantedABC",
    "planted-ping-1",
]


def test_secrets_of_channels_are_masked_and_words_are_not(settings: Any) -> None:
    settings.LIFESIGNS = {"ALERTS": {"CHANNELS": PLANTED, "PING_URL": "https://ping.example.com/planted-ping-1"}}
    hide(secrets(), source="the test")
    try:
        text = redact(" | ".join(MUST_HIDE))
        assert "lanted" not in text.lower()
        assert SECRET not in text
        assert (
            redact("the services at hooks.slack.com and example.com")
            == "the services at hooks.slack.com and example.com"
        )
        assert "planted" not in repr(parse(settings.LIFESIGNS)).lower()
    finally:
        hide([], source="the test")


@pytest.mark.parametrize("alerts", [7, [], {"CHANNELS": 7}, {"CHANNELS": {"x": 7}}, {"CHANNELS": {"x": {"url": 7}}}])
def test_secrets_of_any_form_of_settings(settings: Any, alerts: Any) -> None:
    settings.LIFESIGNS = {"ALERTS": alerts}
    list(secrets())
