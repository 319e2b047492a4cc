"""Fixtures of the tests of actions, beside those of host scope: processes that share a store."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.process.conftest import directory, mounted, start

__all__ = ["directory", "mounted", "start"]


@pytest.fixture(autouse=True)
def no_engine_is_left() -> Iterator[None]:
    yield
    gc.collect()
