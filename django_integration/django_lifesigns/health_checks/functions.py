"""The 22 functions by the names of their checks, found in the modules where users import them from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_lifesigns.health_checks import (
    background_tasks,
    cache,
    channels,
    database,
    external_apis,
    filesystem,
    mqtt,
    system,
)
from django_lifesigns.targets.catalogue import CATALOGUE

MODULES = (database, cache, background_tasks, system, filesystem, channels, mqtt, external_apis)
# The others are named like their checks.
NAMES = {"postgresql_functions": "check_custom_postgresql_functions"}


def _function(check: str) -> Callable[[], dict[str, Any]]:
    name = NAMES.get(check, f"check_{check}")
    [function] = [vars(module)[name] for module in MODULES if name in vars(module)]
    return function  # type: ignore[no-any-return]


FUNCTIONS = {check: _function(check) for check in CATALOGUE}
