"""What happened beside the results: to the log, and state changes of circuit breakers also to whoever subscribed."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NamedTuple

    class BreakerEvent(NamedTuple):
        """A circuit breaker has changed its state (``closed``, ``open``, ``half-open``); ``at``: seconds since 1970."""

        check: str
        from_state: str
        to_state: str
        at: float
else:
    BreakerEvent = namedtuple("BreakerEvent", "check from_state to_state at")


def publish(
    events: Iterable[tuple[str, str, str, float]],
    subscribers: Iterable[Callable[[BreakerEvent], object]],
    correlation_id: str | None,
) -> None:
    """Logs each event, with the id of the sweep that came across it, and hands it to each subscriber.

    One that raises does not keep it from the others.
    """
    import logging

    logger = logging.getLogger("lifesigns")
    for event in map(BreakerEvent._make, events):
        level = logging.WARNING if event.to_state == "open" else logging.INFO
        extra = {"correlation_id": correlation_id, "check_name": event.check, "circuit_state": event.to_state}
        logger.log(level, "circuit breaker of %s: %s -> %s", event.check, event.from_state, event.to_state, extra=extra)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception as error:  # noqa: BLE001  # a subscriber must not cost anybody the health answer
                logger.error("a subscriber to circuit breaker events raised %s", type(error).__name__, extra=extra)


def log(notices: Iterable[tuple[bool, str]]) -> None:
    """Logs what is not about a check, such as a store that cannot be used."""
    import logging

    logger = logging.getLogger("lifesigns")
    for is_warning, text in notices:
        logger.log(logging.WARNING if is_warning else logging.INFO, text)
