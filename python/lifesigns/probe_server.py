"""A probe server: a native thread that answers probes about an engine, in every process that uses the engine."""

from __future__ import annotations

from dataclasses import dataclass

from lifesigns import _core
from lifesigns.arguments import list_of_strings
from lifesigns.wedge import dump_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Literal

    from lifesigns.engine import Engine

# Those that serve, so that they continue when the caller keeps no reference.
_serving: set[ProbeServer] = set()


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a probe server answers: see `lifesigns.serve`."""

    tokens: Iterable[str] = ()
    networks: Iterable[str] = ()
    show_details: Literal["authorized", "always", "never"] = "authorized"
    ready_budget: float = 0.8
    ready_max_age: float = 5.0
    wedged_after: float = 30.0
    alive_requires: Literal["any", "all"] = "any"
    dump_on_wedge: bool = False
    startup: Engine | None = None
    application: str | None = None
    retries: bool = False


def start_server(engine: Engine, address: str, options: ServeOptions) -> ProbeServer:
    """Start a probe server: see `lifesigns.serve`."""
    from lifesigns.identity import default_application  # imports modules that `python -m lifesigns` does without

    startup = options.startup
    native_options = vars(options) | {
        "tokens": list_of_strings("tokens", options.tokens),
        "networks": list_of_strings("networks", options.networks),
        "application": options.application or engine._application or default_application(),
        "signal_when_wedged": dump_signal() if options.dump_on_wedge else None,
    }
    del native_options["dump_on_wedge"], native_options["startup"]
    native = _core.Server(engine._native, startup._native if startup else None, address, native_options)
    engine.start_background(critical_max_age=options.ready_max_age)
    if startup:
        engine._callables.add_background(startup._callables.ids)
    return ProbeServer(native, (engine, startup))


class ProbeServer:
    """A probe server, in every process that uses its engine."""

    def __init__(self, native: _core.Server, engines: tuple[Engine | None, ...]) -> None:
        self._native = native
        self._engines = engines
        _serving.add(self)

    @property
    def address(self) -> str:
        """Where it listens: with the port that the kernel chose for port 0."""
        return self._native.address

    @property
    def refused(self) -> str | None:
        """Why it could not listen when it was made, where it tries again."""
        return self._native.refused

    def close(self) -> None:
        """Stops listening in this process."""
        self._native.close()
        _serving.discard(self)

    def __enter__(self) -> ProbeServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
