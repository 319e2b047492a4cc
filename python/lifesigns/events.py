"""Events beside the results: logged, and state changes of circuit breakers also handed to subscribers."""

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
    """Log each event, with the correlation id of the sweep that met it, and hand it to each subscriber.

    A subscriber that raises does not keep it from the others.
    """
    import logging

    logger = logging.getLogger("lifesigns.breakers")
    for event in map(BreakerEvent._make, events):
        level = logging.WARNING if event.to_state == "open" else logging.INFO
        extra = {"correlation_id": correlation_id, "check_name": event.check, "circuit_state": event.to_state}
        logger.log(level, "Circuit breaker of %s: %s -> %s", event.check, event.from_state, event.to_state, extra=extra)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception as error:  # noqa: BLE001  # a subscriber must not fail the health answer
                logger.error("A subscriber to circuit breaker events raised %s", type(error).__name__, extra=extra)


def log(diagnostics: Iterable[tuple[bool, str]]) -> None:
    """Log what is not about a check, such as a store that cannot be used: whether it is a warning, and the text."""
    import logging

    logger = logging.getLogger("lifesigns")
    for is_warning, text in diagnostics:
        logger.log(logging.WARNING if is_warning else logging.INFO, text)
