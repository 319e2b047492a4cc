"""Serving probes and metrics about an engine, and notifying systemd of the state of the process."""

from __future__ import annotations

from lifesigns import _core
from lifesigns.engine import Engine
from lifesigns.probe_server import ProbeServer, ServeOptions, start_server
from lifesigns.wedge import stop_at_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

__all__ = ["ProbeServer", "hold_address", "metrics", "notify_systemd", "serve"]


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
    application: str | None = None,
    retries: bool = False,
) -> ProbeServer:
    """Answer probes at `address` from a native thread, while every Python thread is busy or stuck.

    It stops with the process, or with `close` of the returned server. In a forked child it starts again with the first
    use of `engine` there, unless `multiprocessing` forked it: see `Engine.resume`. All processes of an application may
    serve the same address: they share one socket, and a connection goes to a process that runs. Another application is
    refused it. A process that is draining leaves connections to those that are not. Results are renewed in the
    background, so that no probe waits for a dependency: see `Engine.start_background`.

    Connections take at most a quarter of the descriptors that the process may have (``ulimit -n``), and at most 1,000;
    beyond that the oldest idle one is closed.

    `/livez`, `/readyz` and `/healthz` are `/alive`, `/ready` and `/health`. All but metrics is written as `Accept` or
    ``?format=json|health+json|text|html`` says. `/health?refresh` and `/health/<check>?refresh` run checks anew, and
    show what is known of them by the end of the budget.

    Args:
        address: ``127.0.0.1:9464``, ``[::1]:9464``, ``0.0.0.0:9464`` (all interfaces) or ``unix:/path``.
        engine: whose checks and groups to report on; None for a process without checks that is only to be seen alive.
        tokens: a caller that sends one as ``Authorization: Bearer`` sees messages, details and metrics, and may
            refresh.
        networks: likewise a caller from one of them: ``10.0.0.0/8``, or one address.
        show_details: ``authorized``, or ``always`` or ``never`` for every caller. Statuses are shown to all.
        ready_budget: seconds within which every probe is answered with what is known by then.
        ready_max_age: seconds; `/ready` and groups rest on no older result, but while a run is awaited on one that is
            older by the check's timeout.
        wedged_after: seconds; `/alive` is 503 once the interpreter has not run for so long. With many busy threads a
            fraction of a second is normal: less than 5 leads to false alarms.
        alive_requires: ``any``: 503 once every known process is wedged; ``all``: once one of them is.
        dump_on_wedge: write the Python stacks of all threads to standard error when this process gets wedged.
        startup: checks which must pass once, beside the critical ones of `engine`, before `/startup` is 200.
        application: the processes that may share the address. None: those with the ``application`` of `engine`, whose
            default is derived from the program.
        retries: where it cannot listen, do not raise OSError: say why in `refused`, and listen once it can.

    Raises:
        ValueError: an argument is wrong.
        OSError: it cannot listen there; where another application does, the message names both and their processes.
    """
    options = ServeOptions(
        tokens=tokens,
        networks=networks,
        show_details=show_details,
        ready_budget=ready_budget,
        ready_max_age=ready_max_age,
        wedged_after=wedged_after,
        alive_requires=alive_requires,
        dump_on_wedge=dump_on_wedge,
        startup=startup,
        application=application,
        retries=retries,
    )
    return start_server(engine or Engine(), address, options)


def hold_address(address: str, application: str | None = None) -> str:
    """Bind `address` for the probe servers of processes that will be forked from this one, and return it.

    For the master of a pre-forking server (gunicorn's ``on_starting`` hook): while one worker ends and the next one
    starts, probes wait in the queue instead of being refused. The master itself answers nothing.

    Raises:
        ValueError: the address is wrong.
        OSError: it cannot listen there.
    """
    from lifesigns.identity import default_application  # imports modules that `python -m lifesigns` does without

    return _core.hold_address(address, application or default_application())


def metrics(engine: Engine, openmetrics: bool = False) -> str:
    """Return the latest results of `engine`, as Prometheus text or as OpenMetrics. Runs nothing.

    `metrics_format` returns which of the two a client wants.
    """
    return engine._native.metrics(openmetrics)


def notify_systemd(
    engine: Engine | None = None, *, wedged_after: float = 30.0, alive_requires: Literal["any", "all"] = "any"
) -> bool:
    """Notify systemd (``Type=notify``, ``WatchdogSec=``) of what `/alive` would answer, until this process ends.

    ``READY=1`` now, ``WATCHDOG=1`` twice in each ``WatchdogSec`` while the interpreter runs, ``STOPPING=1`` once
    draining. Return False, and do nothing, where systemd did not start this process or expects no notifications.

    Args:
        engine: with ``share="host"`` `alive_requires` counts all processes of the host.
        wedged_after, alive_requires: see `serve`.
    """
    stop_at_exit()
    return _core.notify_systemd((engine or Engine())._native, wedged_after, alive_requires)
