"""A channel of alerts that is a callable: it is called with a notice, and returns the result of an attempt."""

from __future__ import annotations

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STATES = ("delivered", "refused", "failed")


def deliver(callable_id: int, function: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Call the function of a channel with the notice that is due, and return the result of the attempt."""
    notice = _core.notice_for(callable_id)
    returned = None if notice is None else function(notice)
    if returned is None or returned is True:
        attempt: dict[str, Any] = {"state": "delivered", "answer": "delivered"}
    elif returned is False:
        attempt = {"state": "failed", "answer": "the channel returned False"}
    elif isinstance(returned, dict) and returned.get("state") in STATES:
        attempt = returned
    else:
        attempt = {"state": "failed", "answer": f"the channel returned {type(returned).__name__}, which says nothing"}
    details = {key: value for key, value in attempt.items() if key != "answer" and value is not None}
    return {"status": "healthy", "message": str(attempt.get("answer", "")), "details": details}
