"""A round trip through the channel layer of Django Channels."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import uuid4

from django.conf import settings

# A lost message must end the run: the engine reports the timeout, but cannot end a wait for the layer's answer.
RECEIVE_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelRoundTrip:
    """A message sent on a unique channel is received back."""

    alias: str = "default"

    async def __call__(self) -> dict[str, object]:
        from channels.layers import channel_layers

        # Not the shared instance: channels_redis refuses, in all of the process, to receive on two event loops.
        layer = channel_layers.make_backend(self.alias)
        message = {"type": "lifesigns.probe", "id": uuid4().hex}
        try:
            channel = await layer.new_channel("lifesigns")
            await layer.send(channel, message)
            received = await asyncio.wait_for(layer.receive(channel), RECEIVE_SECONDS)
        finally:
            if hasattr(layer, "close_pools"):
                await layer.close_pools()
        passed = received.get("id") == message["id"]
        return {
            "status": "healthy" if passed else "error",
            "message": "Channel layer sends and receives" if passed else "Channel layer received another message",
            "details": {
                "backend": settings.CHANNEL_LAYERS[self.alias]["BACKEND"],  # type: ignore[misc]  # Channels has it
                "send_receive_test": "passed" if passed else "failed",
            },
        }
