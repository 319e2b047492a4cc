"""A storage that stands for one on a server: what it keeps, and how it fails."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any, ClassVar

from django.core.files.base import File
from django.core.files.storage import Storage


class RemoteStorage(Storage):
    """Keeps objects in this process; `fails` names the methods that raise, `held` keeps `_save` waiting."""

    objects: ClassVar[dict[str, bytes]] = {}
    calls: ClassVar[list[str]] = []
    fails: ClassVar[dict[str, Exception]] = {}
    held: ClassVar[threading.Event | None] = None

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if method in self.fails:
            raise self.fails[method]

    def exists(self, name: str) -> bool:
        """Return whether it has an object."""
        self._called("exists")
        return name in self.objects

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the objects below a path."""
        self._called("listdir")
        return [], [name for name in self.objects if name.startswith(path)]

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        self._called("delete")
        self.objects.pop(name, None)

    def _save(self, name: str, content: Any) -> str:
        self.objects[name] = content.read()
        if self.held:
            self.held.wait(10)
        self._called("save")
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        self._called("open")
        return File(BytesIO(self.objects[name]), name)
