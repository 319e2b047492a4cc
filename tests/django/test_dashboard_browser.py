"""The dashboard in a real browser: without JavaScript, with it (live), in each look, by keyboard."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.test import Client

from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.dashboard import views
from django_lifesigns.dashboard.fleet import fleet_context
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.settings.project import project_name
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import CheckFailed
from tests.django.browsing import assert_accessible_unfolded, assert_clean
from tests.django.dashboards import fleet_view, seed
from tests.django.incidents import incident
from tests.services import Chromium, Tab, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOME = "/health/dashboard/"
LONG = "a_check_with_as_long_a_name_as_a_check_may_have." + "x" * 52
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
NAMES = ("root", "child", "slow", "flag", LONG)
# What the script waits between two requests, on a machine that may be ten times slower.
SOON = 60.0
is_up: list[bool] = []


def failing() -> None:
    raise CheckFailed(f"{HOSTILE} {'y' * 300}")


def flag() -> None:
    if is_up:
        raise CheckFailed("The flag is up")


@pytest.fixture
def site(settings: Any, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a project with a history and a fleet, one of whose checks fails and blocks another."""
    monkeypatch.setattr(views, "read_fleet", lambda _: fleet_context(fleet_view()))
    is_up.clear()
    settings.LIFESIGNS = {
        "SHOW_DETAILS": "always",
        "DISABLED": [name for name in CATALOGUE if name not in ("mqtt_broker", "aws_ses")],
        "CHECKS": {
            "root": {"check": failing, "breaker": {"failures": 50}, "runbook": "https://wiki.example/root"},
            "child": {"check": lambda: True, "depends_on": ["root"]},
            "slow": {"check": lambda: {"status": "degraded", "message": "slower than usual"}, "critical": False},
            "flag": flag,
            LONG: {"check": lambda: "it is well", "critical": False},
        },
        "OBJECTIVES": {"*": {"target": 99.9}},
        "ALERTS": {"CHANNELS": {}},
    }
    seed(list(NAMES))
    over = incident("two", check="slow", state="resolved", resolved_at=time.time() - 5)
    exchange([incident("one", check="root", message=HOSTILE), over], [], application=project_name(), instance="here")
    get_engine().run()
    url: str = live_server.url
    return url


def sign_in(tab: Tab, site: str) -> None:
    """Give the browser the session of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("ann"))
    name = project.SESSION_COOKIE_NAME
    value = client.cookies[name].value
    tab.run(lambda page: page.context.add_cookies([{"name": name, "value": value, "url": site}]))


def assert_harmless(tab: Tab, site: str) -> None:
    """As every page, and with none of the text of checks run as a script."""
    assert_clean(tab, site)
    assert tab.run(lambda page: page.evaluate("window.hacked")) is None


@pytest.mark.parametrize("path", [HOME, f"{HOME}root/", f"{HOME}slow/"])
def test_dashboard__in_each_look(chromium: Chromium, look: dict[str, Any], site: str, path: str) -> None:
    with chromium.tab(**look) as tab:
        sign_in(tab, site)
        assert tab.go(f"{site}{path}") == 200
        assert_harmless(tab, site)
        assert "Run now" in tab.text()
        if look["javascript"]:
            assert_accessible_unfolded(tab)


def test_dashboard__without_javascript_is_complete(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}{HOME}", javascript=False) as tab:
        text = tab.text()
        for part in ("Critical systems failing", "Failing: 2", "Degraded: 1", "Healthy: 2", "Skipped: 2", "critical"):
            assert part in text, part
        for part in (HOSTILE, "slower than usual", "1 check is blocked by this", "Objective 99.9%:", "available"):
            assert part in text, part
        assert "disk_space: 2 of 3 healthy (fault of these instances): c since 09:14 UTC" in text
        assert text.index("root") < text.index("slow") < text.index(LONG)
        strips = tab.run(
            lambda page: [one.get_attribute("aria-label") for one in page.query_selector_all("svg[role=img]")]
        )
        assert len(strips) == len(NAMES) - 1  # without that of the check that is blocked
        assert all(str(strip).startswith("Last 90 days: ") for strip in strips)
        assert "None" not in text
        tab.run(lambda page: page.click("a.name >> text=root"))
        assert tab.run(lambda page: page.url) == f"{site}{HOME}root/"
        text = tab.text()
        for part in ("Durations of all runs", "24 hours", "Configuration", "stale_after", "Runbook", "Incidents"):
            assert part in text, part
        assert "triggered: 3 failures in a row" in text


def test_dashboard__a_check_turns_red_without_a_reload(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}{HOME}") as tab:
        tab.run(lambda page: page.evaluate("window.isThisPage = true"))
        tab.run(lambda page: page.click("#skipped summary"))
        tab.run(lambda page: page.focus("#check-flag"))
        assert "The flag is up" not in tab.text()
        wait_until(lambda: "Live, as of" in tab.text(), SOON)
        is_up.append(True)
        get_engine().run(refresh=True)
        wait_until(lambda: "The flag is up" in tab.text(), SOON)
        assert "Failing: 3" in tab.text()
        assert tab.run(lambda page: page.evaluate("window.isThisPage"))
        # What the reader has opened, and where the focus was.
        assert tab.run(lambda page: page.evaluate("document.getElementById('skipped').open"))
        assert tab.run(lambda page: page.evaluate("document.activeElement.id")) == "check-flag"
        assert_harmless(tab, site)


def test_dashboard__says_since_when_it_is_not_reached(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}{HOME}") as tab:
        wait_until(lambda: "Live, as of" in tab.text(), SOON)
        tab.run(lambda page: page.context.set_offline(True))
        wait_until(lambda: "Not reached since" in tab.text(), SOON)
        assert "Live, as of" not in tab.text()
        tab.run(lambda page: page.context.set_offline(False))
        wait_until(lambda: "Live, as of" in tab.text(), SOON)
        assert "Not reached since" not in tab.text()


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_button__acts_and_says_so(chromium: Chromium, site: str, javascript: bool) -> None:
    with chromium.tab(javascript=javascript) as tab:
        sign_in(tab, site)
        tab.go(f"{site}{HOME}")
        is_up.append(True)
        tab.run(lambda page: page.click("#run-root"))
        assert "root: The check was run." in tab.text()
        tab.go(f"{site}{HOME}root/")
        tab.run(lambda page: page.click("#open-root"))
        assert "forced open until it is reset" in tab.text()
        assert get_engine().breaker("root").mode == "forced-open"
        assert "circuit open (forced-open)" in tab.text()
        assert_harmless(tab, site)


def test_keyboard__reaches_everything_in_order(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}{HOME}", javascript=False) as tab:
        order = tab.tab_order()
    assert order[:5] == ["Skip to content", "Health", "Detailed", "Dashboard", "JSON"]
    assert order[5:9] == ["Failing: 2", "Degraded: 1", "Healthy: 2", "Skipped: 2"]
    assert order[9:12] == ["root", "1 check is blocked by this", "slow"]
    assert order[12:14] == [LONG, "flag"]


def test_keyboard__opens_what_is_folded_and_presses_a_button(chromium: Chromium, site: str) -> None:
    with chromium.tab() as tab:
        sign_in(tab, site)
        tab.go(f"{site}{HOME}")
        folded = "#blocked-by-root li"
        assert not tab.run(lambda page: page.is_visible(folded))
        tab.run(lambda page: press(page, "1 check is blocked by this"))
        assert tab.run(lambda page: page.is_visible(folded))
        tab.run(lambda page: press(page, "Run now"))
        wait_until(lambda: "root: The check was run." in tab.text(), SOON)


def press(page: Any, text: str) -> None:
    """Press Enter on the next element with this text that the Tab key reaches."""
    for _ in range(50):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == text:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{text!r} is not reached")


def test_dashboard__right_to_left(chromium: Chromium, site: str, settings: Any) -> None:
    settings.LANGUAGE_CODE = "ar"
    with chromium.tab(f"{site}{HOME}", width=390) as tab:
        assert tab.run(lambda page: page.evaluate("getComputedStyle(document.body).direction")) == "rtl"
        assert_harmless(tab, site)
        assert tab.violations() == []
