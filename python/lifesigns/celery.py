"""Connects Celery's workers and its scheduler to an engine: alive, ready, sending heartbeats, draining."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signals

from lifesigns import _core, beat, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifesigns.engine import Engine

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
# Names of heartbeats are no longer.
LONGEST = 100
# What the heartbeats of all workers start with, beside those of the names that a project chooses.
WORKERS = "celery-worker."
# What the scheduler's heartbeats are named.
BEAT = "celery-beat"


def connect(
    engine: Engine | None = None,
    *,
    serve: str | None = None,
    on_start: Callable[[], object] | None = None,
    uid: str = "lifesigns",
    **options: Any,
) -> None:
    """Connect to Celery's signals; starts nothing before a worker or a scheduler does.

    A worker sends a heartbeat every 2 s from the loop that takes tasks, as its name before the ``@``: a check of the
    kind ``heartbeat`` sees it, in any process that shares the engine's store, and `worker_heartbeats` counts it. It
    drains when it is shut down.
    Only the parent of a pool takes part, since its children are busy with tasks. A scheduler (``celery beat``) sends
    the heartbeat ``celery-beat`` with each task that it sends.

    Args:
        engine: renews its results in the background, and is where heartbeats are stored if it shares with its host.
        serve: the address of a probe server to start, with `options` as `lifesigns.serve` takes them. Not that of web
            workers: a worker that drains would answer for them.
        on_start: called when a worker or a scheduler has started.
        uid: connecting again with the same one replaces nothing and adds nothing.

    Raises:
        ValueError: `serve` without an engine.
    """
    if serve is not None and engine is None:
        raise ValueError("serve takes an engine")
    start = partial(_start, engine, serve, on_start, options)
    for signal, receiver in (
        (signals.worker_ready, start),
        (signals.beat_init, partial(_start_beat, start, uid)),
        (signals.heartbeat_sent, _send_heartbeat),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=uid)
    drain_at_shutdown()


def drain_at_shutdown() -> None:
    """Have a worker drain when it is shut down, before its last tasks end. Calling it again adds nothing."""
    signals.worker_shutting_down.connect(_drain, weak=False, dispatch_uid="lifesigns.drain")


def node_name(name: str) -> str:
    """Return the name of a node, such as ``celery@host``, as heartbeats have it."""
    return NOT_IN_NAMES.sub("_", name)[: LONGEST - len(WORKERS)]


def worker_heartbeats() -> dict[str, float]:
    """Return by `node_name` how many seconds ago each worker sent its last heartbeat, as far as this process knows.

    It knows those of the processes that share the store of one of its engines: of this host.
    """
    return {name.removeprefix(WORKERS): age for name, age in _core.heartbeats_of(WORKERS).items()}


def _start(
    engine: Engine | None,
    serve: str | None,
    on_start: Callable[[], object] | None,
    options: dict[str, Any],
    **_: object,
) -> None:
    if engine is not None:
        engine.start_background()
        if serve is not None:
            engine.serve(serve, **options)
    if on_start is not None:
        on_start()


def _start_beat(start: Callable[..., object], uid: str, **options: object) -> None:
    start(**options)
    # Each task that this process sends is one that was due.
    signals.after_task_publish.connect(_send_heartbeat_of_beat, weak=False, dispatch_uid=uid)


def _send_heartbeat_of_beat(**_: object) -> None:
    beat(BEAT)


def _send_heartbeat(sender: Any, **_: object) -> None:
    node = str(sender.eventer.hostname)
    beat(NOT_IN_NAMES.sub("_", node.partition("@")[0])[:LONGEST] or "celery")
    beat(WORKERS + node_name(node))


def _drain(**_: object) -> None:
    drain()
