"""A check named by its dotted path, imported when it is first run: what is wrong in its module harms no other check."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True)
class Dotted:
    """Calls the callable at `path`."""

    # A URL may stand where a path belongs.
    path: str = field(repr=False)

    def __call__(self, **arguments: object) -> object:
        try:
            check = import_string(self.path)
        except ImportError:
            return {"status": "error", "message": f"{self.path} cannot be imported"}
        return check(**arguments)
