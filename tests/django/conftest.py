"""What the tests of django_lifesigns share: settings in, checks out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from django_lifesigns.conf import read
from django_lifesigns.discovery import Found, discover
from django_lifesigns.problems import Problem


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets DATABASES["default"] for what only reads settings. Nothing connects to it."""

    def configure(**settings: Any) -> None:
        configured = connections.configure_settings({"default": settings})
        monkeypatch.setitem(connections.settings, "default", configured["default"])

    return configure


@pytest.fixture
def discovered(settings: Any) -> Callable[..., tuple[dict[str, Found], list[Problem]]]:
    """The checks, by name, of a project with these settings, and what is wrong with them."""

    def look(**values: Any) -> tuple[dict[str, Found], list[Problem]]:
        for name, value in values.items():
            setattr(settings, name, value)
        conf = read()
        found, problems = discover(conf)
        return {check.name: check for check in found}, [*conf.problems, *problems]

    return look
