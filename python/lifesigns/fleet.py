"""Where the hosts of a fleet meet, as the native engine takes it."""

from __future__ import annotations

import os

from lifesigns import _core
from lifesigns.arguments import hide_secrets, nearest_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

OWN = ("name", "zone", "instance")


def fleet_arguments(
    share: str, application: str | None, fleet: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the options of the fleet and the fields of its server; None where hosts do not share.

    Raises:
        ValueError: an argument is missing or wrong.
    """
    if share != "fleet":
        if fleet is not None:
            raise ValueError("fleet needs share='fleet'")
        return None
    if not hasattr(fleet, "keys") or fleet is None or "url" not in fleet:
        raise ValueError("share='fleet' needs fleet, a dict with the 'url' of a Redis that all hosts reach")
    _refuse_unknown(fleet)
    own = {key: _text(key, fleet.get(key)) for key in OWN}
    name = own["name"] or application
    if name is None:
        raise ValueError("share='fleet' needs application, or fleet['name']: what all hosts have in common")
    plain = name.replace("_", "").replace("-", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= 100):
        raise ValueError(f"fleet['name'] must be 1 to 100 letters, digits, '_', '-' or '.', not {name!r}")
    server = {key: value for key, value in fleet.items() if key not in OWN}
    hide_secrets({"kind": "redis", **server})
    zone = own["zone"] or os.environ.get("LIFESIGNS_ZONE") or None
    return {"application": name, "name": own["instance"], "zone": zone}, server


def validate_fleet(fleet: Mapping[str, Any]) -> None:
    """Refuse with ValueError what an engine would. Connects to nothing."""
    _core.Engine(1.0, 1.0, 1.0, None, fleet_arguments("fleet", None, fleet))


def _refuse_unknown(fleet: Mapping[str, Any]) -> None:
    """Raise ValueError for a key that neither the fleet nor its server has."""
    import dataclasses

    from lifesigns.specs import Redis

    known = [*OWN, *(field.name for field in dataclasses.fields(Redis))]
    for key in fleet:
        if key not in known:
            nearest = nearest_name(str(key), known)
            hint = f"did you mean {nearest!r}?" if nearest else f"known are {', '.join(known)}"
            raise ValueError(f"fleet: unknown field {str(key)!r}: {hint}")


def _text(key: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise ValueError(f"fleet[{key!r}] must be a str, not {type(value).__name__}")
