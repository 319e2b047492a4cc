"""What is passed to an engine, as its native part takes it; what cannot be right is a `ValueError` that says so."""

from __future__ import annotations

import os

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any


def store_file(share: str, application: str, store_path: str | PathLike[str] | None) -> str | None:
    """The file that processes share; None if they do not."""
    if share not in ("process", "host"):
        raise ValueError(f"share must be 'process' or 'host', not {share!r}")
    plain = application.replace("_", "").replace("-", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(application) <= 100):
        raise ValueError(f"application must be 1 to 100 letters, digits, '_', '-' or '.', not {application!r}")
    if share == "process":
        return None
    return os.path.join(store_path or _core.default_store(), f"{application}.lifesigns")


def list_of_names(what: str, names: Iterable[str]) -> list[str]:
    """A list of names; a string would be taken for a list of letters."""
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ValueError(f"{what} must be a list of names, not {names!r}")
    return list(names)


def hide_secrets(spec: dict[str, Any]) -> None:
    """Keeps the secrets of a target out of what callables return, which may quote an error of its client."""
    from lifesigns.redaction import hide, secrets_in

    hide(secrets_in(spec))


def not_a_check(name: str, value: object) -> ValueError:
    """What to raise for a check of another type."""
    return ValueError(f"{name}: a check is a spec, a dict with a 'kind', or a callable, not {type(value).__name__}")


def plain_spec(value: Any) -> Any:
    """Specs as dicts; anything else as it is."""
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None:
        return to_dict()
    return dict(value) if hasattr(value, "keys") else value
