"""Fixtures of the tests of actions: processes that share a store, as the tests of host scope have them."""

from tests.process.conftest import directory, mounted, start

__all__ = ["directory", "mounted", "start"]
