"""A channel layer that takes no option that it does not know, as those of other packages do."""

from __future__ import annotations

from channels.layers import InMemoryChannelLayer


class StrictLayer(InMemoryChannelLayer):  # type: ignore[misc]  # Channels has no types
    """Channels' own swallows whatever it is given."""

    def __init__(self, capacity: int = 100) -> None:
        super().__init__(capacity=capacity)
