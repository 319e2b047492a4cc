"""Code that waits, written once for WSGI and ASGI: as a coroutine that receives how to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")


class Wait(Protocol):
    """How to wait: `await wait(engine.sweep, engine.asweep, ...)` calls the one or awaits the other."""

    async def __call__(
        self, sync: Callable[..., Value], asynchronous: Callable[..., Awaitable[Value]], *args: Any, **kwargs: Any
    ) -> Value: ...


async def blocking(
    sync: Callable[..., Value], asynchronous: Callable[..., Awaitable[Value]], *args: Any, **kwargs: Any
) -> Value:
    """Wait on this thread, for a coroutine that `run` drives."""
    return sync(*args, **kwargs)


async def awaiting(
    sync: Callable[..., Value], asynchronous: Callable[..., Awaitable[Value]], *args: Any, **kwargs: Any
) -> Value:
    """Wait in the event loop, without a thread."""
    return await asynchronous(*args, **kwargs)


async def in_thread(wait: Wait, function: Callable[..., Value], *arguments: Any) -> Value:
    """Call what may block: on this thread, or beside the event loop on another one."""
    return await wait(function, partial(asyncio.to_thread, function), *arguments)


def run(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Return what a coroutine returns that waits by `blocking` alone, and so is never suspended. Needs no event loop.

    Raises:
        RuntimeError: the coroutine awaited something else.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    coroutine.close()
    raise RuntimeError("The coroutine waits for an event loop")


def is_in_event_loop() -> bool:
    """Return whether an event loop runs on this thread, as it does where Django serves ASGI."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
