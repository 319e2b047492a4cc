"""The dashboard's buttons: each takes its permission and a form of the page, and is logged with the user's name."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.test import Client, RequestFactory

from django_lifesigns import probes
from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.dashboard import actions
from django_lifesigns.dashboard.actions import DONE, PERMISSIONS, act
from django_lifesigns.models import Incident, Silence
from django_lifesigns.runtime import engine as runtime_engine
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.runtime.waiting import blocking, run
from django_lifesigns.settings.project import project_name
from lifesigns import Engine
from tests.django.incidents import incident
from tests.django.test_dashboard import TOKEN, staff

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/health/dashboard/mine/"
HOME = "/health/dashboard/"
FORM = "application/x-www-form-urlencoded"
FIRST = "django_lifesigns.middleware.ProbeMiddleware"
runs: list[int] = []


def mine() -> None:
    runs.append(1)


@pytest.fixture(autouse=True, params=[[], [FIRST]], ids=["view", "first"])
def project(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.MIDDLEWARE = [*request.param, *settings.MIDDLEWARE]
    settings.LIFESIGNS = {
        "TOKENS": [TOKEN],
        "CHECKS": {"mine": {"check": mine, "breaker": {"failures": 3}}, "plain": lambda: True},
        "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
        "ALERTS": {"CHANNELS": {}},
    }
    runs.clear()
    get_engine().run()
    exchange([incident("one", check="mine")], [], application=project_name(), instance="here")


def token_of(client: Client, url: str = URL) -> str:
    found = re.search('name="csrfmiddlewaretoken" value="(.*?)"', client.get(url).content.decode())
    return found.group(1) if found else ""


def press(client: Client, action: str, url: str = URL, **more: Any) -> Any:
    return client.post(url, {"action": action, "csrfmiddlewaretoken": token_of(client), **more})


def traces() -> dict[str, bool]:
    """What of the actions has left a trace."""
    breaker = get_engine().breaker("mine")
    return {
        "run": len(runs) > 1,
        "acknowledge": Incident.objects.get(pk="one").acknowledged_by == "ann",
        "silence": Silence.objects.filter(checks="mine", author="ann").exists(),
        "breaker-force-open": breaker.mode == "forced-open",
        "breaker-force-close": breaker.mode == "forced-closed",
        "breaker-disable": breaker.mode == "disabled",
    }


NONE = dict.fromkeys(set(PERMISSIONS) - {"breaker-reset"}, False)


@pytest.mark.parametrize("action", PERMISSIONS)
def test_action__takes_its_permission(action: str, caplog: pytest.LogCaptureFixture) -> None:
    others = {permission for permission in PERMISSIONS.values() if permission != PERMISSIONS[action]}
    refused = staff(*others, name="bob", enforce_csrf_checks=True)
    assert f'value="{action}"' not in refused.get(URL).content.decode()
    assert press(refused, action).status_code == 403
    assert traces() == NONE
    client = staff(PERMISSIONS[action], enforce_csrf_checks=True)
    assert f'value="{action}"' in client.get(URL).content.decode()
    if action == "breaker-reset":
        get_engine().breaker("mine").force_open()
    with caplog.at_level(logging.INFO, "lifesigns.audit"):
        response = press(client, action)
    assert (response.status_code, response["Location"]) == (303, f"{URL}?done={action}")
    assert traces() == {**NONE, **({action: True} if action in NONE else {})}
    (record,) = [record for record in caplog.records if record.name == "lifesigns.audit"]
    assert (vars(record)["user"], vars(record)["action"], vars(record)["check_name"]) == ("ann", action, "mine")
    assert str(DONE[action]) in client.get(response["Location"]).content.decode()


def test_action__leads_back_to_the_whole() -> None:
    client = staff(*PERMISSIONS.values(), enforce_csrf_checks=True)
    response = press(client, "run", back="dashboard")
    assert response["Location"] == f"{HOME}?done=run&check=mine"
    assert "mine: The check was run." in client.get(response["Location"]).content.decode()
    # Nothing of the query is shown but what is known.
    page = client.get(f"{HOME}?done=%3Cb%3Eothers&check=%3Cb%3Eshown").content.decode()
    assert "others" not in page
    assert "<b>" not in page


@pytest.mark.parametrize("action", PERMISSIONS)
def test_action__needs_a_form_of_the_page(action: str) -> None:
    client = staff(*PERMISSIONS.values(), enforce_csrf_checks=True)
    assert token_of(client)
    for fields in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        assert client.post(URL, {"action": action, **fields}).status_code == 403
    # One of a page of another site, where the browser says so.
    fields = {"action": action, "csrfmiddlewaretoken": token_of(client)}
    assert client.post(URL, fields, headers={"origin": "https://evil.example"}).status_code == 403
    assert traces() == NONE


def test_action__of_others_than_staff_is_refused() -> None:
    known = Client(headers={"authorization": f"Bearer {TOKEN}"})
    page = known.get(URL)
    assert b"<form" not in page.content
    assert "Set-Cookie" not in page
    for client in (known, Client()):
        assert client.post(URL, {"action": "run"}).status_code == 403
    assert traces() == NONE


def test_action__unknown_action_and_check() -> None:
    client = staff(superuser=True, enforce_csrf_checks=True)
    assert press(client, "explode").status_code == 403
    assert client.post(
        f"{HOME}other/", {"action": "run", "csrfmiddlewaretoken": token_of(client)}
    ).status_code == 404  # fmt: skip
    assert press(client, "breaker-reset", url=f"{HOME}plain/")["Location"] == f"{HOME}plain/?done=no-breaker"
    assert press(client, "acknowledge", url=f"{HOME}plain/")["Location"] == f"{HOME}plain/?done=not-open"


def test_token__in_the_session_where_a_project_wants_it_there(settings: Any) -> None:
    settings.CSRF_USE_SESSIONS = True
    client = staff(superuser=True, enforce_csrf_checks=True)
    assert press(client, "run")["Location"] == f"{URL}?done=run"
    assert client.post(URL, {"action": "run", "csrfmiddlewaretoken": "x" * 64}).status_code == 403


def through_wsgi(method: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    environ = RequestFactory(headers=headers).generic(method, URL, body, FORM).environ
    started: list[Any] = []
    application: Any = probes(get_wsgi_application())
    content = b"".join(application(environ, lambda *arguments: started.extend(arguments)))
    return int(started[0].split()[0]), started[1], content


def through_asgi(method: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    fields = [(b"content-type", FORM.encode()), (b"content-length", str(len(body)).encode())]
    fields += [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": URL, "root_path": "", "query_string": b"", "headers": fields}
    # As servers split it.
    received = [{"type": "http.request", "body": part, "more_body": bool(part)} for part in (body[:9], body[9:], b"")]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    application: Any = probes(get_asgi_application())
    asyncio.run(application(scope, receive, send))
    found = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize("through", [through_wsgi, through_asgi])
def test_action__where_the_application_is_wrapped(settings: Any, through: Any) -> None:
    """No middleware of the project's is involved then."""
    settings.MIDDLEWARE = []
    session = staff(superuser=True).cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}"
    _, headers, page = through("GET", {"host": "localhost", "cookie": cookies}, b"")
    (cookie,) = [value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie"]
    assert cookie.startswith(f"{settings.CSRF_COOKIE_NAME}=")
    found = re.search('name="csrfmiddlewaretoken" value="(.*?)"', page.decode())
    assert found is not None
    fields = {"action": "breaker-force-open", "csrfmiddlewaretoken": found.group(1)}
    known = {"host": "localhost", "cookie": f"{cookies}; {cookie}"}
    assert through("POST", known, urlencode({**fields, "csrfmiddlewaretoken": "x" * 64}).encode())[0] == 403
    assert traces() == NONE
    assert through("POST", known, urlencode(fields).encode())[0] == 303
    assert traces()["breaker-force-open"]


def test_buttons__without_alerts_there_is_nothing_to_acknowledge(settings: Any) -> None:
    settings.LIFESIGNS = {key: value for key, value in settings.LIFESIGNS.items() if key != "ALERTS"}
    page = staff(superuser=True).get(URL).content.decode()
    assert 'value="run"' in page
    assert 'value="acknowledge"' not in page
    assert 'value="silence"' not in page


def test_engine_with_alerts__follows_at_once_whatever_the_database(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As outside of test runs, where the engine has alerts."""
    engine = Engine(log=False, alerts={"CHANNELS": {}, "FAILURES": 1})
    engine.register("mine", lambda: False)
    runtime: Any = get_runtime()
    fields = {name: getattr(runtime, name) for name in runtime.__slots__}
    runtime = runtime_engine.Runtime(**{**fields, "engine": engine, "has_alerts": True})
    engine.run()

    async def unwritable(*_: object) -> None:
        return None

    monkeypatch.setattr(actions, "_in_tables", unwritable)
    assert run(act("silence", "mine", "ann", runtime, blocking)) == "not-written"
    (silence,) = engine.silences()
    assert (silence["matchers"]["check"], silence["author"]) == (["mine"], "ann")
    fields = {**fields, "engine": engine, "has_alerts": False}
    assert run(act("silence", "mine", "ann", runtime_engine.Runtime(**fields), blocking)) == "failed"
