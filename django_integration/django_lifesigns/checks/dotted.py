"""A check named by its dotted path: what is wrong in its module harms no other check."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.module_loading import import_string

from django_lifesigns.checks.imports import module_of
from lifesigns.redaction import redact


@dataclass(frozen=True, slots=True, repr=False)
class Dotted:
    """Calls the callable at `path`."""

    path: str

    def __repr__(self) -> str:
        # A URL may stand where a path belongs.
        return f"Dotted({redact(self.path)!r})"

    @property
    def imports(self) -> tuple[str]:
        """Return the module that a run imports."""
        return (module_of(self.path),)

    def __call__(self, **arguments: object) -> object:
        try:
            check = import_string(self.path)
        except ImportError:
            return {"status": "error", "message": f"{self.path} cannot be imported"}
        return check(**arguments)
