"""What tests in the browser assert of every page of ours."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.services.browser import Tab

UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"


def assert_clean(tab: Tab, site: str) -> None:
    """Nothing wider than the window, nothing that breaks the policy or is missing, nothing from elsewhere."""
    assert tab.overflow() <= 0
    assert tab.messages == []
    hosts = {urlsplit(request).netloc for request in tab.requests if not request.startswith("data:")}
    assert hosts == {urlsplit(site).netloc}


def assert_accessible_unfolded(tab: Tab) -> None:
    """With all that is folded shown: nothing wider than the window, and nothing that axe-core finds wrong."""
    tab.run(lambda page: page.evaluate(UNFOLD))
    assert tab.overflow() <= 0
    assert tab.violations() == []
