"""Workers that have removed their registration: where they stop in order they do so, in each deploy."""

from __future__ import annotations

from lifesigns.worker_sightings import note_died, note_workers

# By queue: how many workers this process has seen there last, unless they have died since.
_known: dict[str, int] = {}


def signed_off(queue: str, active: int, rows: int, window_seconds: float) -> float | None:
    """Note that `active` workers are there now and, if there is none, how many `rows` of dead ones are left.

    Return how many seconds ago the last worker was there, as any process of the scope has seen it, if there is none
    now, rows are gone, and that was within the window. None otherwise: a worker whose row is still there has died.
    """
    ago = note_workers(queue, active)
    if active:
        _known[queue] = active
        return None
    # Where only other processes have seen them, no row may be left.
    if rows >= _known.get(queue, 1):
        # They died: that their rows are removed later on is no heartbeat.
        if _known.pop(queue, None):
            note_died(queue)
        return None
    return ago if ago is not None and ago < window_seconds else None
