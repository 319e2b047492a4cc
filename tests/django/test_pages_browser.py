"""The pages in a real browser: on a phone and a desktop, dark and light, with and without JavaScript, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.browsing import assert_accessible_unfolded, assert_clean
from tests.services import Chromium
from tests.services.browser import Tab

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = ["/health/", "/health/detailed/", "/health/root/", "/health/group/web/", "/health/nothing/", "/health/status/"]
LONG = "a_check_with_as_long_a_name_as_a_check_may_have." + "x" * 52
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'><b>bold</b> {{ 7 }}{% now %}"
UNBROKEN = "https://db.internal/" + "y" * 400


def failing() -> dict[str, object]:
    details = {
        "host": UNBROKEN,
        "hostile": HOSTILE,
        "tries": [{"at": number, "code": 500, "answer": "z" * 60, "host": "db-1.internal"} for number in range(3)],
    }
    return {"status": "error", "message": f"{HOSTILE}\n{UNBROKEN}", "details": details}


@pytest.fixture
def site(settings: Any, live_server: Any) -> str:
    """The URL of a project one of whose checks fails, with hostile texts, and blocks others."""
    settings.LIFESIGNS = {
        "SHOW_DETAILS": "always",
        "PUBLIC_PAGE": True,
        "DISABLED": [name for name in CATALOGUE if name not in ("default_cache", "mqtt_broker", "aws_ses")],
        "CHECKS": {
            "root": failing,
            "child": {"check": lambda: True, "depends_on": ["root"]},
            LONG: {"check": lambda: "it is well", "critical": False},
            "slow": {"check": lambda: {"status": "degraded", "message": "slower than usual"}, "critical": False},
        },
        "GROUPS": {"web": {"checks": ["root", "slow", LONG]}},
    }
    get_engine().run()
    url: str = live_server.url
    return url


def pages(tab: Tab, site: str) -> Iterator[str]:
    """Go from page to page, and yield the path of each: a tab for each takes three times as long."""
    for path in PATHS:
        tab.messages.clear()
        tab.requests.clear()
        tab.go(f"{site}{path}")
        yield path


def test_page__in_each_look(chromium: Chromium, look: dict[str, Any], site: str) -> None:
    with chromium.tab(**look) as tab:
        for path in pages(tab, site):
            assert_clean(tab, site)
            assert len([request for request in tab.requests if "/health/assets/" in request]) == 2, path
            assert "root" in tab.text() or path == "/health/status/"
            background = tab.run(lambda page: page.evaluate("getComputedStyle(document.body).backgroundColor"))
            red = int(background.partition("(")[2].partition(",")[0])
            assert red < 64 if look["scheme"] == "dark" else red > 192, path
            if look["javascript"]:
                assert_accessible_unfolded(tab)


def test_health__without_javascript_is_complete(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}/health/", javascript=False) as tab:
        text = tab.text()
        for part in ("Failing (1)", "Blocks 1 check: child", "Degraded (1)", "slower than usual", "critical", LONG):
            assert part in text, part
        assert "ago" in text or "just now" in text
        tab.run(lambda page: page.click("text=Blocks 1 check"))
        assert "blocked by root" in tab.text()
        tab.run(lambda page: page.click("a.name >> text=root"))
        assert tab.run(lambda page: page.url) == f"{site}/health/root/"
        assert "db-1.internal" in tab.text()


def test_hostile_text__is_text(chromium: Chromium, site: str) -> None:
    for path in ("/health/", "/health/root/", "/health/detailed/"):
        with chromium.tab(f"{site}{path}") as tab:
            assert HOSTILE in tab.text()
            assert tab.run(lambda page: page.evaluate("window.hacked")) is None
            assert_clean(tab, site)


def test_keyboard__reaches_everything_in_order(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}/health/") as tab:
        order = tab.tab_order()
    assert order[:5] == ["Skip to content", "Health", "Detailed", "Dashboard", "JSON"]
    assert order[5:] == [
        "root",
        "Blocks 1 check: child",
        "slow",
        "default_cache",
        LONG,
        "2 skipped: mqtt_broker, aws_ses",
    ]


def test_keyboard__skips_to_content_and_opens_what_is_folded(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}/health/") as tab:
        tab.run(lambda page: page.keyboard.press("Tab"))
        tab.run(lambda page: page.keyboard.press("Enter"))
        assert tab.run(lambda page: page.evaluate("document.activeElement.id")) == "content"
        tab.run(lambda page: page.keyboard.press("Tab"))
        tab.run(lambda page: page.keyboard.press("Tab"))
        assert "blocked by root" not in tab.text()
        tab.run(lambda page: page.keyboard.press("Enter"))
        assert "blocked by root" in tab.text()


@pytest.mark.parametrize("width", [390, 1280])
def test_page__from_right_to_left(chromium: Chromium, site: str, settings: Any, width: int) -> None:
    settings.LANGUAGE_CODE = "ar"
    get_engine().run()
    with chromium.tab(width=width) as tab:
        for path in pages(tab, site):
            assert tab.run(lambda page: page.evaluate("document.dir")) == "rtl", path
            assert_clean(tab, site)
            assert tab.violations() == [], path


def test_page__in_print(chromium: Chromium, site: str) -> None:
    with chromium.tab(f"{site}/health/") as tab:
        tab.run(lambda page: page.emulate_media(media="print"))
        assert not tab.run(lambda page: page.is_visible("nav"))
        assert tab.run(lambda page: page.is_visible("text=slower than usual"))


def test_report__has_the_look_of_the_pages(chromium: Chromium, look: dict[str, Any], tmp_path: Path) -> None:
    get_engine().run()
    file = tmp_path / "report.html"
    call_command("generate_health_report", "--format", "html", "--output", str(file))
    with chromium.tab(file.as_uri(), **look) as tab:
        assert tab.overflow() <= 0
        assert tab.messages == []
        if look["javascript"]:
            assert tab.violations() == []
