"""A trial of a channel of alerts: a trigger and a resolve of an incident that there is not."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The check that a trial is about.
CHECK = "test"


@dataclass(frozen=True)
class ChannelTrial:
    """The trials of an application; `url` is that of its dashboard."""

    application: str
    url: str | None

    def notices(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the trigger and the resolve of a new incident, as the engine takes notices."""
        now, identifier = time.time(), str(uuid.uuid4())
        incident = {
            # Not that of a check of this name, whose incident this one would end.
            "dedup_key": f"lifesigns/{self.application}/{CHECK}/{identifier}",
            "incident_id": identifier,
            "application": self.application,
            "check": CHECK,
            "severity": "warning",
            "since": now,
            "at": now,
            "url": self.url and self.url.replace("{check}", CHECK),
            "is_test": True,
        }
        triggered = {"kind": "triggered", "status": "degraded", "message": "This is a test: nothing is wrong"}
        resolved = {"kind": "resolved", "status": "healthy", "message": "The test is over"}
        return (
            {**incident, **triggered, "id": f"{identifier}-1"},
            {**incident, **resolved, "id": f"{identifier}-2"},
        )
