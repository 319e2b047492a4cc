"""A check named by its dotted path: what is wrong in its module harms no other check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from django.utils.module_loading import import_string

from django_lifesigns.checks.imports import module_of
from lifesigns.arguments import wrong_argument
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

    def wrong(self, arguments: Mapping[str, object]) -> str | None:
        """Return why it cannot be called with these arguments.

        Raises:
            ImportError: it is not there, or the path is none.
            BaseException: whatever its module raises.
        """
        # Python would take a leading dot for a relative import, and fail in several ways.
        if not all(part.isidentifier() for part in self.path.split(".")):
            raise ImportError("A dotted path has the form package.module.name.")
        check = import_string(self.path)
        if not callable(check):
            return f"is a {type(check).__name__}, not a callable"
        return wrong_argument(partial(check, **arguments))

    def __call__(self, **arguments: object) -> object:
        try:
            wrong = self.wrong(arguments)
        except ImportError:
            wrong = "cannot be imported"
        if wrong:
            return {"status": "error", "message": f"{self.path} {wrong}"}
        return import_string(self.path)(**arguments)
