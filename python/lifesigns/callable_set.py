"""The callables among the checks of an engine: their numbers, and the threads that they need."""

from __future__ import annotations

import weakref

from lifesigns import callables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class CallableSet:
    """The callables of one engine, which are forgotten with it."""

    def __init__(self, log: bool) -> None:
        self._log = log
        # Their numbers, by the names of the checks.
        self.ids: dict[str, int] = {}
        # Those that the engine itself may start, without a request from Python.
        self._background: list[dict[str, int]] = []
        weakref.finalize(self, _forget, self.ids).atexit = False

    def __bool__(self) -> bool:
        return bool(self.ids or self._background)

    def adopt(
        self,
        name: str,
        function: Callable[[], Any],
        callable_id: int,
        accept: Callable[[], None],
        imports: Iterable[str] = (),
        server: str | None = None,
    ) -> None:
        """Add the callable of a check, or put it in the place of its former one, unless `accept` raises.

        `accept` has the engine know the number. The threads know it before that, since a run may start at once.
        """
        callables.remember(callable_id, function, name if self._log else "", server)
        try:
            accept()
        except Exception:
            if self.ids.get(name) != callable_id:
                callables.forget([callable_id])
            raise
        _import_whole(name, function, imports)
        self.ids[name] = callable_id
        self.start_threads(())

    def start_threads(self, names: Iterable[str]) -> None:
        """Start the threads that the callables of these names need, and those that the engine may start any time."""
        ids = [callable_id for callable_id in map(self.ids.get, names) if callable_id]
        for background in self._background:
            ids += background.values()
        if ids:
            callables.start_threads(ids)

    def add_background(self, ids: dict[str, int]) -> None:
        """Let the engine start these callables by itself from now on."""
        self._background.append(ids)
        self.start_threads(())


def _forget(callable_ids: dict[str, int]) -> None:
    callables.forget(callable_ids.values())


def _import_whole(name: str, check: Callable[[], Any], packages: Iterable[str]) -> None:
    from lifesigns.first_use import import_whole

    import_whole(name, check, packages)
