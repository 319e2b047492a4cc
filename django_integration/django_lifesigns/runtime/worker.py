"""Starts in each worker what runs beside its requests: renewing results, recording them, and the probe server.

It starts when a server loads `ProbeMiddleware`, with the application. That happens in workers, and neither in commands
nor in the process in which Django watches for changed code, while `AppConfig.ready` is called in all of them. A process
that loads the application for others, as gunicorn's master does with `--preload` and uWSGI's without `lazy-apps`,
starts nothing: its children do. It holds the address of the probes, so that they wait for the next worker where all end
at once.
"""

from __future__ import annotations

import _thread
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django_lifesigns.actions.mirror import ActionMirror
from django_lifesigns.alerts.mirror import IncidentMirror
from django_lifesigns.checks.under_test import is_under_test
from django_lifesigns.history.background import BackgroundRecording
from django_lifesigns.runtime.engine import Runtime, on_request
from django_lifesigns.runtime.guard import guarded
from django_lifesigns.runtime.imports import import_packages
from django_lifesigns.runtime.servers import modules_of_callers
from django_lifesigns.runtime.sharing import application, scope
from django_lifesigns.runtime.startup import get_startup
from django_lifesigns.settings.conf import read
from lifesigns import hold_address, watch_loop
from lifesigns.shutdown import drain_on_sigterm

logger = logging.getLogger("django_lifesigns")

# How long a forked worker takes at most to become one. gunicorn's take some milliseconds.
SETTLED_SECONDS = 10.0
POLL_SECONDS = 0.01


@guarded("starting with the server")
def on_load() -> None:
    """Start here, or in the workers that this process forks: a server has loaded the application."""
    modules = modules_of_callers()
    if "django.test.client" not in modules:
        import_packages()
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not uwsgi.worker_id():
        _hold_addresses()
        _add_post_fork_hook(uwsgi)
    elif "gunicorn.arbiter" in modules and "gunicorn.workers.base" not in modules:
        _hold_addresses()
        os.register_at_fork(after_in_child=_start_once_settled)
    elif "django.test.client" not in modules:
        _start_as_configured()


@guarded("the background of this worker")
def start(*, probes: bool = True) -> None:
    """Start in this process, unless that is done already. What cannot be started is logged, and harms no request.

    Without `probes` it only renews and records results, and other processes see that it is alive. In a test run of
    Django's it starts nothing: the database of the tests is not to be used beside them.
    """
    if _started.get("in") == os.getpid() or is_under_test():
        return
    _started["in"] = os.getpid()
    drain_on_sigterm()
    with suppress(RuntimeError):  # there is no event loop, or not yet: then the first request brings it
        watch_event_loop()
    runtime = on_request(max_wait=0)
    _follow_thresholds(runtime)
    _mirror(runtime)  # first: what is restored fires no second time
    if probes:
        # First, so that what it tells the other workers at once names the address.
        _serve_all(runtime.conf.probe_server, runtime)
    runtime.engine.start_background(critical_max_age=runtime.conf.ready_max_age)
    if runtime.conf.runs_in_background:
        _record(runtime)


@guarded("the probe server of this process")
def serve(address: str) -> None:
    """Start in this process, and serve probes at this address, whatever else is served."""
    start(probes=False)
    if is_under_test():
        return
    if "celery.signals" in sys.modules:
        from lifesigns.celery import drain_at_shutdown

        drain_at_shutdown()
    runtime = on_request(max_wait=0)
    _record(runtime)
    _serve_all([address], runtime)


def watch_event_loop() -> None:
    """Have `/alive` watch the running event loop, too, if there are probes here. RuntimeError if none runs."""
    if _started.get("in") == os.getpid():
        asyncio.get_running_loop()
        watch_loop()


def _record(runtime: Runtime) -> None:
    process = os.getpid()
    if runtime.conf.record and process not in _recording:
        _recording[process] = BackgroundRecording(runtime.engine, runtime.shortest_period)
        _recording[process].start()


@guarded("following saved thresholds")
def _follow_thresholds(runtime: Runtime) -> None:
    runtime.thresholds.sync_in_background()


@guarded("the incidents in the database")
def _mirror(runtime: Runtime) -> None:
    process = os.getpid()
    if runtime.has_alerts and process not in _mirroring:
        is_shared, fleet = bool(scope(runtime.conf)), runtime.fleet
        _mirroring[process] = IncidentMirror(runtime.engine, runtime.alerts_as, is_shared=is_shared, fleet=fleet)
        _mirroring[process].start()
    if runtime.has_actions and process not in _mirroring_actions:
        _mirroring_actions[process] = ActionMirror(runtime.engine, runtime.alerts_as)
        _mirroring_actions[process].start()


def _serve_all(addresses: Sequence[str], runtime: Runtime) -> None:
    get_startup().engine.run(deadline=0)  # so that the first probe need not come again
    for address in addresses:
        try:
            # One of the servers of a process is enough to dump its stacks.
            _serve(address, runtime, dumps=address == addresses[0])
        except (OSError, ValueError) as error:
            logger.error("probe server: cannot serve %s (%s)", address, error)


def _serve(address: str, runtime: Runtime, *, dumps: bool) -> None:
    conf = runtime.conf
    server = runtime.engine.serve(
        address,
        tokens=conf.tokens,
        networks=[str(network) for network in conf.networks],
        show_details=conf.show_details,
        ready_budget=conf.ready_budget,
        ready_max_age=conf.ready_max_age,
        wedged_after=conf.wedged_after,
        alive_requires=conf.alive_requires,
        dump_on_wedge=conf.dump_on_wedge and dumps,
        startup=get_startup().engine,
        application=application(),
        # The release before this one has it until it ends.
        retries=True,
    )
    if server.refused:
        logger.error("probe server: cannot serve %s (%s); trying again each second", address, server.refused)


@guarded("holding the address of the probes")
def _hold_addresses() -> None:
    for address in read().probe_server:
        try:
            hold_address(address, application())
        except (OSError, ValueError) as error:
            logger.error("probe server: cannot hold %s (%s)", address, error)


@guarded("the background of this worker")
def _start_as_configured() -> None:
    if read().runs_in_background:
        start()


@guarded("the background of this worker")
def _start_once_settled() -> None:
    """Start in a child of gunicorn's master, which changes its user and its signal handlers first."""
    # Here, since only the main thread can see to the handler that comes.
    drain_on_sigterm()
    # None that `threading` has in its list: where gevent replaces that meanwhile, it is not found there at its end.
    _thread.start_new_thread(_wait_and_start, (signal.getsignal(signal.SIGTERM),))


def _wait_and_start(handler_of_master: Any) -> None:
    end = time.monotonic() + SETTLED_SECONDS
    while signal.getsignal(signal.SIGTERM) == handler_of_master:
        if time.monotonic() > end:
            return  # no worker
        time.sleep(POLL_SECONDS)
    _start_as_configured()


def _add_post_fork_hook(uwsgi: Any) -> None:
    """Start in each worker of uWSGI, which forks without calling Python, but for this one hook."""
    others = getattr(uwsgi, "post_fork_hook", None)

    def hook() -> None:
        if others is not None:
            others()
        if uwsgi.worker_id():  # mules and spoolers are none
            _start_as_configured()

    uwsgi.post_fork_hook = hook


_started: dict[str, int] = {}
# By process: a child has copies of those of its parent, whose threads it has not.
_recording: dict[int, BackgroundRecording] = {}
_mirroring: dict[int, IncidentMirror] = {}
_mirroring_actions: dict[int, ActionMirror] = {}
