"""Who sees what: everybody how it is, and why only those who are known."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db as sessions_of_database
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import AsyncClient, Client, RequestFactory

from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.http import sessions
from django_lifesigns.http.access import client_address, identify_without_session, is_authorized
from django_lifesigns.http.redact_report import statuses_only
from django_lifesigns.http.renderers import HINT
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.settings.conf import parse
from tests.services import wait_until

REASON = "the reason is the-host.internal"
TOKENS = ["the-first-of-two-tokens", "the-second-of-two-tokens"]


def failing() -> dict[str, object]:
    """A check whose reasons must not be seen by everybody."""
    return {"status": "error", "message": REASON, "details": {"host": REASON}}


@pytest.fixture
def lifesigns(settings: Any) -> Any:
    """Sets LIFESIGNS, with a failing check."""

    def configure(**lifesigns: Any) -> None:
        # A busy machine is no fault of the project.
        without_host = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
        settings.LIFESIGNS = {"TOKENS": TOKENS, "CHECKS": {"mine": failing}, **without_host, **lifesigns}

    configure()
    return configure


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("authorization", "known"),
    [
        (None, False),
        ("Bearer the-first-of-two-tokens", True),
        ("Bearer the-second-of-two-tokens", True),
        ("bearer  the-second-of-two-tokens ", True),
        ("Bearer the-first-of-two-token", False),
        ("Bearer the-first-of-two-tokens2", False),
        ("Bearer ", False),
        ("Bearer", False),
        ("", False),
        ("Basic the-first-of-two-tokens", False),
        ("the-first-of-two-tokens", False),
        ("Bearer \udcff\ud800é", False),
    ],
)
def test_token__table(authorization: str | None, known: bool) -> None:
    headers = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    request = RequestFactory().get("/health/", **headers)  # type: ignore[arg-type]
    assert is_authorized(request, parse({"TOKENS": TOKENS})) is known
    assert is_authorized(request, parse({})) is False
    for show, seen in (("authorized", known), ("always", True), ("never", False)):
        caller = identify_without_session(request, parse({"TOKENS": TOKENS, "SHOW_DETAILS": show}))
        assert caller.sees_details is seen
        assert ("hint" in caller.hint) is (show == "authorized" and not known)


def test_token__is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    original = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in (TOKENS[0], "x", "y" * 10_000):
        compared.clear()
        is_authorized(RequestFactory().get("/", headers=bearer(token)), parse({"TOKENS": TOKENS}))
        # Both tokens, also after the first was right, and nothing of their lengths.
        assert compared == [(32, 32)] * 2


PROXY = ["10.0.0.0/24"]


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        ([], "10.1.2.3", None, "10.1.2.3"),
        ([], "::ffff:10.1.2.3", None, "10.1.2.3"),
        ([], "fd00::1", None, "fd00::1"),
        ([], "", None, None),
        ([], None, None, None),
        # Through a proxy that is not known, or made up.
        ([], "10.1.2.3", "192.0.2.1", None),
        (PROXY, "10.0.0.1", "192.0.2.1", "192.0.2.1"),
        (PROXY, "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        (PROXY, "10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        (PROXY, "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "10.0.0.1", "2001:db8::7", "2001:db8::7"),
        (["fd00::/8"], "fd00::1", " 192.0.2.1 ", "192.0.2.1"),
        # What the caller wrote itself stands on the left.
        (PROXY, "10.0.0.1", "10.1.2.3, 192.0.2.1", "192.0.2.1"),
        (PROXY, "10.0.0.1", "10.1.2.3, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (PROXY, "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # A caller that reaches the port directly is none of the proxies, whatever it says.
        (PROXY, "192.0.2.1", "10.1.2.3", None),
        (PROXY, "192.0.2.1", "10.1.2.3, 10.0.0.1", None),
        (PROXY, "192.0.2.1", None, "192.0.2.1"),
        # A proxy that does not say for whom.
        (PROXY, "10.0.0.1", None, None),
        (PROXY, "10.0.0.1", "unknown", None),
        (PROXY, "10.0.0.1", "", None),
        (PROXY, "10.0.0.1", ",", None),
        (PROXY, "10.0.0.1", "10.1.2.3, nonsense", None),
        # A Unix socket.
        (PROXY, "", "192.0.2.1", None),
        (["unix"], "", "192.0.2.1", "192.0.2.1"),
        (["unix", *PROXY], None, "192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (["unix"], "10.0.0.1", "192.0.2.1", None),
    ],
)
def test_client_address__table(
    proxies: list[str], peer: str | None, forwarded: str | None, address: str | None
) -> None:
    request = RequestFactory().get("/")
    request.META.pop("REMOTE_ADDR")
    request.META |= {} if peer is None else {"REMOTE_ADDR": peer}
    request.META |= {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    found = client_address(request, parse({"TRUSTED_PROXIES": proxies}).trusted_proxies)
    assert (found and str(found)) == address


def test_network__is_not_spoofed_past_the_proxies() -> None:
    conf = parse({"NETWORKS": ["10.1.0.0/16"], "TRUSTED_PROXIES": PROXY})
    forwarded = {"HTTP_X_FORWARDED_FOR": "10.1.2.3"}
    assert is_authorized(RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **forwarded), conf)  # type: ignore[arg-type]
    assert not is_authorized(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **forwarded), conf)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("debug", "peer", "host", "forwarded", "known"),
    [
        (True, "127.0.0.1", "localhost:8000", None, True),
        (True, "::1", "[::1]:8000", None, True),
        (True, "::ffff:127.0.0.1", "shop.localhost", None, True),
        (True, "127.0.0.1", "testserver", None, True),  # one of ALLOWED_HOSTS
        (False, "127.0.0.1", "localhost:8000", None, False),
        (True, "192.0.2.1", "localhost:8000", None, False),
        # A page of another site whose name was made to mean this host.
        (True, "127.0.0.1", "evil.example", None, False),
        (True, "127.0.0.1", "localhost:8000", "192.0.2.1", False),
    ],
)
def test_debug__details_on_loopback(
    settings: Any, debug: bool, peer: str, host: str, forwarded: str | None, known: bool
) -> None:
    settings.DEBUG = debug
    request = RequestFactory().get("/", headers={"host": host}, REMOTE_ADDR=peer)
    request.META |= {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert identify_without_session(request, parse({})).sees_details is known
    assert identify_without_session(request, parse({"SHOW_DETAILS": "never"})).sees_details is False


@pytest.mark.parametrize(
    ("peer", "known"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.1.2.3", False), ("fd00::1", True), ("192.0.2.7", True)],
)
def test_network__table(peer: str, known: bool) -> None:
    conf = parse({"NETWORKS": ["10.0.0.1/8", "fd00::/8", "192.0.2.7"]})
    assert is_authorized(RequestFactory().get("/", REMOTE_ADDR=peer), conf) is known


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/ready/", "/startup/", "/health/", "/health/mine/"])
@pytest.mark.parametrize("accept", ["application/json", "application/health+json", "text/plain", "text/html"])
def test_details__only_for_those_who_are_known(lifesigns: Any, path: str, accept: str) -> None:
    everybody = Client().get(path, headers={"accept": accept})
    known = Client().get(path, headers={"accept": accept, **bearer(TOKENS[1])})
    assert everybody.status_code == known.status_code == 503
    assert "the-host" not in everybody.content.decode()
    assert "the-host" in known.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("show", "seen"), [("always", True), ("never", False)])
def test_show_details__always_and_never(lifesigns: Any, show: str, seen: bool) -> None:
    lifesigns(SHOW_DETAILS=show)
    for headers in ({}, bearer(TOKENS[0])):
        assert ("the-host" in Client().get("/health/", headers=headers).content.decode()) is seen


@pytest.mark.django_db(transaction=True)
def test_everybody__statuses(lifesigns: Any) -> None:
    body = Client().get("/health/").json()
    keys = {"status", "message", "timestamp", "uptime_seconds", "summary", "checks", "correlation_id", "hint"}
    assert body.keys() == keys
    assert body["hint"] == HINT
    assert body["message"] == "Critical systems failing"
    assert body["summary"]["errors"] == 1
    assert body["checks"]["mine"].keys() == {"status", "timestamp", "cached"}
    assert len(body["checks"]) == 20
    assert all(result.keys() <= {"status", "timestamp", "cached", "age_seconds"} for result in body["checks"].values())


def test_statuses_only__changes_nothing_it_was_given() -> None:
    result = {"status": "error", "message": "why", "details": {"why": 1}, "cached": True, "age_seconds": 2, "new": 3}
    report = {"status": "unhealthy", "checks": {"x": result}, "system_info": {"host": "h"}, "history": {}}
    before = json.dumps(report)
    shown = {"status": "error", "cached": True, "age_seconds": 2}
    assert statuses_only(report) == {"status": "unhealthy", "checks": {"x": shown}}
    assert statuses_only(result, results=None) == shown
    assert json.dumps(report) == before


def session(**fields: Any) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("someone", **fields))
    return client


@pytest.fixture(autouse=True)
def as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are looked up beside the request."""
    monkeypatch.setattr(sessions, "is_under_test", lambda: False)


@pytest.mark.django_db
@pytest.mark.parametrize("is_staff", [True, False])
def test_session__in_the_transaction_of_a_test(lifesigns: Any, monkeypatch: pytest.MonkeyPatch, is_staff: bool) -> None:
    monkeypatch.setattr(sessions, "is_under_test", is_under_test)
    assert ("the-host" in session(is_staff=is_staff).get("/health/").content.decode()) is is_staff


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fields", "seen"), [({"is_staff": True}, True), ({"is_staff": False}, False), ({"is_superuser": True}, False)]
)
def test_session__staff(lifesigns: Any, fields: Any, seen: bool) -> None:
    client = session(**fields)
    assert ("the-host" in client.get("/health/").content.decode()) is seen
    assert ("the-host" in client.get("/health/mine/").content.decode()) is seen
    # Not for those with a budget: finding a session may take as long as the database does.
    assert "the-host" not in client.get("/ready/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_session__of_somebody_who_left(lifesigns: Any) -> None:
    client = session(is_staff=True)
    User.objects.update(is_active=False)
    assert "the-host" not in client.get("/health/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_session__is_not_looked_up_without_a_cookie(
    lifesigns: Any, as_in_a_server: None, django_assert_num_queries: Any
) -> None:
    get_engine().run()
    with django_assert_num_queries(0):
        assert "the-host" not in Client().get("/health/").content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["cache", "cached_db", "signed_cookies", "file"])
def test_session__wherever_it_is_kept(lifesigns: Any, settings: Any, tmp_path: Path, engine: str) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    client = session(is_staff=True)
    assert "the-host" in client.get("/health/").content.decode()
    client.cookies["sessionid"] = "made-up"
    assert "the-host" not in client.get("/health/").content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("middleware", [[], ["django_lifesigns.middleware.ProbeMiddleware"]])
def test_session__under_asgi(lifesigns: Any, settings: Any, middleware: list[str]) -> None:
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]
    client = AsyncClient()
    client.cookies = session(is_staff=True).cookies
    assert "the-host" in asyncio.run(client.get("/health/")).content.decode()


@pytest.mark.django_db(transaction=True)
def test_session__is_read_only(lifesigns: Any) -> None:
    """Of a user whose password has changed Django would end the session."""
    client = session(is_staff=True)
    user = User.objects.get()
    user.set_password("another one")
    user.save()
    assert "the-host" not in client.get("/health/").content.decode()
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_session__store_fails(lifesigns: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("gone")

    client = session(is_staff=True)
    monkeypatch.setattr(sessions_of_database.SessionStore, "load", fail)
    response = client.get("/health/mine/")
    assert response.status_code == 503
    assert "the-host" not in response.content.decode()


class Stuck:
    """A store of sessions that does not answer until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.entered = 0

    def load(self, *_: object) -> dict[str, object]:
        self.entered += 1
        self.released.wait(30)
        return {}


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    store = Stuck()
    monkeypatch.setattr(sessions_of_database.SessionStore, "load", store.load)
    sessions._lookups.cache_clear()
    yield store
    store.released.set()
    sessions._lookups.cache_clear()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_session__store_that_hangs_delays_no_request(lifesigns: Any, settings: Any, stuck: Stuck, kind: str) -> None:
    settings.MIDDLEWARE = ["django_lifesigns.middleware.ProbeMiddleware", *settings.MIDDLEWARE]
    get_engine().run()

    def request_once(number: int) -> tuple[int, float]:
        headers = {"cookie": f"sessionid={number:032}"}
        started = time.monotonic()
        if kind == "wsgi":
            code = Client().get("/health/mine/", headers=headers).status_code
        else:
            code = asyncio.run(AsyncClient().get("/health/mine/", headers=headers)).status_code
        return code, time.monotonic() - started

    threads = threading.active_count()
    found = [request_once(number) for number in range(20)]
    assert {code for code, _ in found} == {503}
    # One caller waits for its deadline, and those after it not at all, as long as the lookup is stuck.
    assert sum(seconds for _, seconds in found) < sessions.SECONDS + 2.5
    assert stuck.entered == 1
    assert threading.active_count() <= threads + 2
    stuck.released.set()
    wait_until(lambda: request_once(99)[0] == 503 and stuck.entered > 1, 60)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/health/", "/health/mine/"])
def test_refresh__only_for_those_who_are_known(settings: Any, path: str) -> None:
    runs: list[int] = []
    settings.LIFESIGNS = {"TOKENS": TOKENS, "SHOW_DETAILS": "always", "CHECKS": {"mine": lambda: runs.append(1)}}
    known = bearer(TOKENS[0])
    assert Client().get(path).status_code == 200
    assert Client().get(f"{path}?refresh=1").status_code == 403
    assert Client().get(f"{path}?refresh=0", headers=known).status_code == 200
    assert len(runs) == 1
    assert Client().get(f"{path}?refresh=1", headers=known).status_code == 200
    assert len(runs) == 2
