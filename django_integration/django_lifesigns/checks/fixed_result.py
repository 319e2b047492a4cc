"""A check whose result is known beforehand: its settings are wrong, or a required target is missing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FixedResult:
    """Always gives this status and message."""

    status: str
    message: str

    def __call__(self) -> dict[str, object]:
        return {"status": self.status, "message": self.message}
