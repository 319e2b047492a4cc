"""When workers of a task queue were last seen, by any process of the scope: in a deploy there is none for a while.

Sightings are heartbeats that checks send for the workers, as native checks do.
"""

from __future__ import annotations

from hashlib import sha256

from lifesigns import _core

PREFIX = "task-workers."
DIED = ".died"


def note_workers(queue: str, active: int) -> float | None:
    """Note that `active` workers of a queue are there now, and return how many seconds ago one last was.

    None if none ever was, as far as this process knows, or all have died since.
    """
    name = _name(queue)
    if active:
        _core.beat(name)
        return 0.0
    ages = _core.heartbeats_of(name)
    seen, died = ages.get(name), ages.get(name + DIED)
    return None if seen is None or (died is not None and died <= seen) else seen


def note_died(queue: str) -> None:
    """Note that all workers of a queue have died: none is to be waited for."""
    _core.beat(_name(queue) + DIED)


def _name(queue: str) -> str:
    return PREFIX + sha256(queue.encode()).hexdigest()[:32]
