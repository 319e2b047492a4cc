"""A round trip through the channel layer of Django Channels."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings

from django_lifesigns.checks.connection_cache import ConnectionCache
from django_lifesigns.checks.imports import channel_modules
from django_lifesigns.checks.servers import layer_server

# The engine reports the timeout a moment earlier; this only ends what is left of the run.
GRACE_SECONDS = 0.02
CLOSE_SECONDS = 1.0


class Line(NamedTuple):
    """A layer and the event loop to which its connections belong; the loop runs while a check does."""

    selector: selectors.BaseSelector
    loop: asyncio.AbstractEventLoop
    layer: Any

    @classmethod
    def open(cls, alias: str) -> Line:
        from channels.layers import channel_layers

        # Not the shared layer: channels_redis refuses, in all of the process, to receive on two event loops.
        layer = channel_layers.make_backend(alias)
        # Not epoll, which a forked child would share: to close its copy of the loop would deafen the parent's.
        selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        return cls(selector, asyncio.SelectorEventLoop(selector), layer)

    def reusable(self) -> bool:
        """Whether it may rest until the next run, and has rested undisturbed since the last.

        Only that of Redis does: other layers listen all the time. A server that was restarted has closed its end, which
        the selector sees; redis-py 8 overlooks it.
        """
        return _has(self.layer, "close_pools") and not self.selector.select(0)

    def close(self) -> None:
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        with suppress(asyncio.TimeoutError):
            self.loop.run_until_complete(asyncio.wait_for(self._disconnect(left), CLOSE_SECONDS))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _disconnect(self, left: set[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*left, return_exceptions=True)
        if _has(self.layer, "close_pools"):
            await self.layer.close_pools()


_lines: ConnectionCache[Line] = ConnectionCache(Line.close, Line.reusable)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelRoundTrip:
    """A message sent on a unique channel is received back, within `timeout` seconds."""

    alias: str = "default"
    timeout: float

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return channel_modules(self.alias)

    @property
    def server_address(self) -> str | None:
        """Return where it looks."""
        return layer_server(self.alias)

    def __call__(self) -> dict[str, object]:
        with _lines.borrow(self.alias, partial(Line.open, self.alias)) as line:
            round_trip = asyncio.wait_for(_round_trip(line.layer), self.timeout + GRACE_SECONDS)
            passed = line.loop.run_until_complete(round_trip)
        return {
            "status": "healthy" if passed else "error",
            "message": "Channel layer sends and receives" if passed else "Channel layer received another message",
            "details": {
                "backend": settings.CHANNEL_LAYERS[self.alias]["BACKEND"],  # type: ignore[misc]  # Channels has it
                "send_receive_test": "passed" if passed else "failed",
            },
        }


async def _round_trip(layer: Any) -> bool:
    message = {"type": "lifesigns.probe", "id": uuid4().hex}
    channel = await layer.new_channel("lifesigns")
    if len(getattr(layer, "hosts", ())) > 1 and _has(layer, "group_send"):
        # Of several servers `send` and `receive` of channels_redis may each choose another; those of groups agree.
        group = f"lifesigns.{message['id']}"
        await layer.group_add(group, channel)
        await layer.group_send(group, message)
        received = await layer.receive(channel)
        await layer.group_discard(group, channel)
    else:
        await layer.send(channel, message)
        received = await layer.receive(channel)
    if _has(layer, "wait_received"):  # what Redis still has to remove
        await layer.wait_received()
    return bool(received.get("id") == message["id"])


def _has(layer: Any, method: str) -> bool:
    # Of its class: the pub/sub layer answers for every name, and only while its loop runs.
    return hasattr(type(layer), method)
