"""Connects Celery's workers and its scheduler to an engine: alive, ready, sending heartbeats, draining."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signals

from lifesigns import beat, drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifesigns.engine import Engine

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


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
    kind ``heartbeat`` sees it, in any process that shares the engine's store. It drains when it is shut down.
    Only the parent of a pool takes part, since its children are busy with tasks.

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
        (signals.beat_init, start),
        (signals.heartbeat_sent, _send_heartbeat),
        (signals.worker_shutting_down, _drain),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=uid)


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


def _send_heartbeat(sender: Any, **_: object) -> None:
    beat(NOT_IN_NAMES.sub("_", str(sender.eventer.hostname).partition("@")[0]) or "celery")


def _drain(**_: object) -> None:
    drain()
