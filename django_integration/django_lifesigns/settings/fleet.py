"""`LIFESIGNS["FLEET"]`: where the hosts of a project meet, and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.settings.values import WrongValueError
from lifesigns import specs

OWN = frozenset(["NAME", "ZONE", "INSTANCE"])
KEYS = OWN | {field.name.upper() for field in dataclasses.fields(specs.Redis)}


def fleet(value: object) -> Mapping[str, object]:
    """Return the keywords of `lifesigns.Engine(fleet=...)`.

    Raises:
        WrongValueError: it is no dict, has an unknown key, or no URL. What is wrong with the URL the engine says.
    """
    must = "must be a dict with the 'URL' of a Redis that all hosts reach"
    if not isinstance(value, Mapping):
        raise WrongValueError(must)
    for key in value:
        if key not in KEYS:
            raise WrongValueError(must, f"it has an unknown key {key!r}", did_you_mean(str(key), KEYS))
    if not value.get("URL"):
        raise WrongValueError(must, "it has no 'URL'")
    return {str(key).lower(): item for key, item in value.items() if item is not None}
