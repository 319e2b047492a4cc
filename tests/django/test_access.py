"""Who sees what: everybody how it is, and why only those who are known."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils.functional import SimpleLazyObject

from django_lifesigns.http.access import client_address, is_authorized, sees_details
from django_lifesigns.http.redact_report import statuses_only
from django_lifesigns.runtime.engine import get_engine, get_runtime
from django_lifesigns.settings.conf import parse

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
        patient = {"DISABLED": ["cpu_load", "memory_usage", "disk_space"]}
        settings.LIFESIGNS = {"TOKENS": TOKENS, "CHECKS": {"mine": failing}, **patient, **lifesigns}

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
        assert sees_details(request, parse({"TOKENS": TOKENS, "SHOW_DETAILS": show})) is seen


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


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [
        (0, "10.1.2.3", None, "10.1.2.3"),
        (0, "::ffff:10.1.2.3", None, "10.1.2.3"),
        (0, "fd00::1", None, "fd00::1"),
        (0, "", None, None),
        (0, None, None, None),
        # Through a proxy that nobody told us of, or made up.
        (0, "10.1.2.3", "192.0.2.1", None),
        (1, "10.0.0.1", "192.0.2.1", "192.0.2.1"),
        (1, "10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        (1, "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        (1, "10.0.0.1", "2001:db8::7", "2001:db8::7"),
        (1, "", " 192.0.2.1 ", "192.0.2.1"),
        # What the caller wrote itself stands on the left.
        (1, "10.0.0.1", "10.1.2.3, 192.0.2.1", "192.0.2.1"),
        (2, "10.0.0.1", "10.1.2.3, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        # Past the proxies.
        (1, "10.0.0.1", None, None),
        (2, "10.0.0.1", "192.0.2.1", None),
        (1, "10.0.0.1", "unknown", None),
        (1, "10.0.0.1", "", None),
        (1, "10.0.0.1", ",", None),
    ],
)
def test_client_address__table(proxies: int, peer: str | None, forwarded: str | None, address: str | None) -> None:
    request = RequestFactory().get("/")
    request.META.pop("REMOTE_ADDR")
    request.META |= {} if peer is None else {"REMOTE_ADDR": peer}
    request.META |= {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    found = client_address(request, proxies)
    assert (found and str(found)) == address


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
    keys = {"status", "message", "timestamp", "uptime_seconds", "summary", "checks", "correlation_id"}
    assert body.keys() == keys
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


def staff_request(user: Any) -> Any:
    request = RequestFactory().get("/health/")
    request.COOKIES["sessionid"] = "x"
    request.user = SimpleLazyObject(user)  # type: ignore[assignment]
    return request


def test_session__is_not_looked_up_while_the_database_is_down(lifesigns: Any) -> None:
    lifesigns(CHECKS={"database_connectivity": lambda: False})

    def ask() -> None:
        raise AssertionError("would hang with the database")

    assert is_authorized(staff_request(ask), parse({}), get_runtime()) is False


@pytest.mark.django_db(transaction=True)
def test_session__database_fails_meanwhile(lifesigns: Any) -> None:
    def ask() -> None:
        raise OperationalError("gone")

    assert is_authorized(staff_request(ask), parse({}), get_runtime()) is False


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
