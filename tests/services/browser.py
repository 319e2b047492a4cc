"""Debian's Chromium with an empty profile, driven over its DevTools port; nothing is fetched but what it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.request import urlopen

from tests.services.base import Service, program

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright

Value = TypeVar("Value")

PHONE, DESKTOP = 390, 1280
HEIGHT = 800
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    # What is no address of this host does not resolve.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
# Each width, scheme and choice about JavaScript, and each two of them together.
LOOKS: dict[str, dict[str, Any]] = {
    "phone-light": {"width": PHONE, "scheme": "light", "javascript": True},
    "phone-dark-no-script": {"width": PHONE, "scheme": "dark", "javascript": False},
    "desktop-dark": {"width": DESKTOP, "scheme": "dark", "javascript": True},
    "desktop-light-no-script": {"width": DESKTOP, "scheme": "light", "javascript": False},
}
# The machine may be busy.
MILLISECONDS = 60_000
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Chromium(Service):
    """The browser, and the thread on which it is driven: Playwright keeps an event loop running there."""

    name = "chromium"
    start_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self._thread = ThreadPoolExecutor(1, "browser")
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def arguments(self) -> list[str]:
        # The same engine as in `chromium --headless`, without a window's own pages: these took longer than ours.
        shell = program("chromium-headless-shell", "/usr/lib/chromium")
        profile = f"--user-data-dir={self.directory / 'profile'}"
        return [shell, *ARGUMENTS, profile, f"--remote-debugging-port={self.port}", "about:blank"]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HOME": str(self.directory)}

    def ready(self) -> bool:
        with suppress(OSError, ValueError), urlopen(f"http://127.0.0.1:{self.port}/json/version", timeout=5) as answer:
            return "webSocketDebuggerUrl" in json.load(answer)
        return False

    def call(self, function: Callable[[], Value]) -> Value:
        """Return what a function returns on the browser's thread."""
        return self._thread.submit(function).result()

    @contextmanager
    def tab(
        self,
        url: str = "",
        *,
        width: int = DESKTOP,
        scheme: Literal["dark", "light"] = "light",
        javascript: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Tab]:
        """A tab of a profile of its own, at that URL."""
        tab = self.call(lambda: self._open(width, scheme, javascript, dict(headers or {})))
        try:
            if url:
                tab.go(url)
            yield tab
        finally:
            self.call(tab.page.context.close)

    def _open(self, width: int, scheme: Literal["dark", "light"], javascript: bool, headers: dict[str, str]) -> Tab:
        from playwright.sync_api import sync_playwright

        if self._browser is None:
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{self.port}")
        context = self._browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            java_script_enabled=javascript,
            extra_http_headers=headers,
        )
        context.set_default_timeout(MILLISECONDS)
        tab = Tab(self, context.new_page())
        tab.page.on("console", tab.note)
        tab.page.on("pageerror", lambda error: tab.messages.append(f"error: {error}"))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        return tab

    def stop(self) -> None:
        """Close what drives it, then end it."""
        self.call(self._disconnect)
        super().stop()

    def close(self) -> None:
        super().close()
        self._thread.shutdown()

    def _disconnect(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._browser = self._playwright = None


@dataclass
class Tab:
    """A page of the browser. `page` is Playwright's, for use on the browser's thread alone: see `run`."""

    chromium: Chromium
    page: Page
    # What the console says, as where a page breaks its policy or a file is missing; and the URLs of all requests.
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def run(self, function: Callable[[Page], Value]) -> Value:
        """Return what a function makes of Playwright's page."""
        return self.chromium.call(lambda: function(self.page))

    def note(self, message: ConsoleMessage) -> None:
        """Keep a message of the console, but for the one that a page of status code 503 is one."""
        if not (message.location.get("url") == self.page.url and "the server responded with a status" in message.text):
            self.messages.append(f"{message.type}: {message.text}")

    def go(self, url: str) -> int:
        """Load a URL, with all that it needs, and return the status code."""
        response = self.run(lambda page: page.goto(url, wait_until="load"))
        assert response is not None
        return response.status

    def text(self, selector: str = "body") -> str:
        """Return the text of an element as it is shown."""
        return self.run(lambda page: page.inner_text(selector))

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.run(lambda page: page.evaluate(OVERFLOW)))

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong, with the elements that are."""
        from axe_playwright_python.sync_playwright import Axe

        found: list[dict[str, Any]] = self.run(lambda page: Axe().run(page).response["violations"])
        return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]

    def tab_order(self, at_most: int = 200) -> list[str]:
        """Return the text of each element that the Tab key reaches, in order; AssertionError if a focus is not seen."""
        return self.run(lambda page: _tab_order(page, at_most))


# Of the element with the focus: its text, and whether an outline is drawn around it.
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const text = (element.innerText || element.getAttribute("aria-label") || element.tagName).trim();
  return [text, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}"""


def _tab_order(page: Page, at_most: int) -> list[str]:
    found: list[str] = []
    while len(found) < at_most:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            return found
        text, is_visible = focused
        assert is_visible, f"the focus on {text!r} cannot be seen"
        found.append(text)
    raise AssertionError(f"more than {at_most} elements take the focus")
