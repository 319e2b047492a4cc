"""What every storage has in common."""

from __future__ import annotations

from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible


@deconstructible
class BaseStorage(Storage):
    """Reaches no service: no check may use it by accident."""

    def __init__(self, **settings: object) -> None:
        self.settings = settings
