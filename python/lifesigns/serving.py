"""The probe server, and the metrics that it and others show."""

from __future__ import annotations

from lifesigns import _core
from lifesigns.engine import Engine
from lifesigns.wedge import dump_signal, stop_at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Literal

# What serves, so that it goes on when nobody holds on to it.
_serving: set[ProbeServer] = set()


def serve(
    address: str,
    engine: Engine | None = None,
    *,
    tokens: Iterable[str] = (),
    networks: Iterable[str] = (),
    show_details: Literal["authorized", "always", "never"] = "authorized",
    ready_budget: float = 0.8,
    ready_max_age: float = 5.0,
    wedged_after: float = 30.0,
    alive_requires: Literal["any", "all"] = "any",
    dump_on_wedge: bool = False,
    startup: Engine | None = None,
) -> ProbeServer:
    """Answers probes at `address` from a native thread, while every Python thread is busy or stuck.

    It stops with the process, or with `close` of what is returned. In a forked child it starts again with the first use
    of `engine` there. Every process of a host may be given the same address: all of them serve it. Results are renewed
    in the background, so that no probe waits for a dependency: see `Engine.start_background`.

    Args:
        address: ``127.0.0.1:9464``, ``[::1]:9464``, ``0.0.0.0:9464`` (all interfaces) or ``unix:/path``.
        engine: what to report on; none for a process that has no checks and only wants to be seen alive.
        tokens: each lets whoever sends it as ``Authorization: Bearer`` see messages, details and metrics.
        networks: likewise whoever calls from one of them: ``10.0.0.0/8``, or one address.
        show_details: ``authorized``, or ``always`` or ``never`` whoever asks. Everybody sees statuses.
        ready_budget: seconds within which every probe is answered with what is known by then.
        ready_max_age: seconds; `/ready` rests on no older result of a native check.
        wedged_after: seconds; `/alive` is 503 once the interpreter has not run for so long. With many busy threads a
            fraction of a second is normal: less than 5 is asking for false alarms.
        alive_requires: ``any``: 503 once every process that is known is wedged; ``all``: once one of them is.
        dump_on_wedge: write the Python stacks of all threads to standard error when this process gets wedged.
        startup: checks which must pass once, beside the critical ones of `engine`, before `/startup` is 200.

    Raises:
        ValueError: anything of this is wrong.
        OSError: it cannot listen there.
    """
    if engine is None:
        engine = Engine()
    options = {
        "tokens": _strings("tokens", tokens),
        "networks": _strings("networks", networks),
        "show_details": show_details,
        "ready_budget": ready_budget,
        "ready_max_age": ready_max_age,
        "wedged_after": wedged_after,
        "alive_requires": alive_requires,
        "signal_when_wedged": dump_signal() if dump_on_wedge else None,
    }
    first = startup._native if startup else None
    native = _core.Server(engine._native, first, address, options)
    engine.start_background(critical_max_age=ready_max_age)
    if startup:
        engine._begin_unasked(startup._callables)
    return ProbeServer(native, (engine, startup))


def metrics(engine: Engine, openmetrics: bool = False) -> str:
    """What is known of the checks of `engine`, as Prometheus text or as OpenMetrics. Runs nothing.

    `metrics_format` says which of the two a client wants.
    """
    return engine._native.metrics(openmetrics)


def notify_systemd(
    engine: Engine | None = None, *, wedged_after: float = 30.0, alive_requires: Literal["any", "all"] = "any"
) -> bool:
    """Tells systemd (``Type=notify``, ``WatchdogSec=``) what `/alive` would say, from this process, until it ends.

    ``READY=1`` now, ``WATCHDOG=1`` twice in each ``WatchdogSec`` while the interpreter runs, ``STOPPING=1`` once
    draining. False, and nothing more, where systemd did not start this process or does not want to be told.

    Args:
        engine: one that shares with the processes of its host has `alive_requires` look at all of them.
        wedged_after, alive_requires: see `serve`.
    """
    stop_at_exit()
    return _core.notify_systemd((engine or Engine())._native, wedged_after, alive_requires)


class ProbeServer:
    """A probe server, in every process that uses its engine."""

    def __init__(self, native: _core.Server, engines: tuple[Engine | None, ...]) -> None:
        self._native = native
        self._engines = engines
        _serving.add(self)

    @property
    def address(self) -> str:
        """Where it listens: with the port that the kernel chose where it was asked for port 0."""
        return self._native.address

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


def _strings(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise ValueError(f"{name} must be a list of strings, not one string")
    return list(values)
