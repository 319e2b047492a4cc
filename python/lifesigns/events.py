"""State changes of checks, readiness, circuit breakers and incidents, for the log and for subscribers."""

from __future__ import annotations

from collections import namedtuple

from lifesigns.plain import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, NamedTuple

    class StatusEvent(NamedTuple):
        """The status of a check changed.

        ``from_status`` is None where it had not run before; ``raw_status`` is what the run itself found; ``since`` and
        ``at`` are seconds since 1970: when it took the status that it has left, and when it left it. ``sequence``
        counts the changes of this check in the whole scope.
        """

        check: str
        from_status: str | None
        to_status: str
        raw_status: str
        message: str
        error_type: str | None
        since: float | None
        at: float
        sequence: int

    class BreakerEvent(NamedTuple):
        """A circuit breaker changed its state (``closed``, ``open``, ``half-open``); ``at``: seconds since 1970."""

        check: str
        from_state: str
        to_state: str
        at: float
        sequence: int

    class ReadinessEvent(NamedTuple):
        """Whether every critical check passes changed; ``failing`` names those that do not."""

        ready: bool
        failing: tuple[str, ...]
        since: float | None
        at: float
        sequence: int

    class IncidentEvent(NamedTuple):
        """An incident was ``triggered``, ``acknowledged`` or ``resolved``, or a delivery of its notices has changed.

        ``change`` is that word, or ``delivery_refused``, ``delivery_failing`` (for the third time in a row),
        ``delivery_given_up`` or ``delivery_recovered``, of ``channel``, with its last answer as ``message``.
        ``sequence`` is the revision of the incident; ``since`` and ``at`` are seconds since 1970.
        """

        check: str
        incident: str
        change: str
        state: str
        severity: str
        message: str
        channel: str | None
        since: float
        at: float
        sequence: int

    class DrainingEvent(NamedTuple):
        """This process is about to end."""

        at: float
        sequence: int

    Event = StatusEvent | BreakerEvent | ReadinessEvent | IncidentEvent | DrainingEvent
else:
    StatusEvent = namedtuple(
        "StatusEvent", "check from_status to_status raw_status message error_type since at sequence"
    )
    BreakerEvent = namedtuple("BreakerEvent", "check from_state to_state at sequence")
    ReadinessEvent = namedtuple("ReadinessEvent", "ready failing since at sequence")
    IncidentEvent = namedtuple(
        "IncidentEvent", "check incident change state severity message channel since at sequence"
    )
    DrainingEvent = namedtuple("DrainingEvent", "at sequence")


def event_of(native: Mapping[str, Any]) -> Event:
    """The event of a dict of the engine's."""
    kind, at, sequence = native["kind"], native["at"], native["sequence"]
    if kind == "status":
        return StatusEvent(
            native["check"],
            native["from"],
            native["to"],
            native["raw"],
            native["message"],
            native["error_type"],
            native["since"],
            at,
            sequence,
        )
    if kind == "breaker":
        return BreakerEvent(native["check"], native["from"], native["to"], at, sequence)
    if kind == "readiness":
        return ReadinessEvent(native["ready"], tuple(native["failing"]), native["since"], at, sequence)
    if kind == "incident":
        return IncidentEvent(
            native["check"],
            native["incident"],
            native["change"],
            native["state"],
            native["severity"],
            native["message"],
            native["channel"],
            native["since"],
            at,
            sequence,
        )
    return DrainingEvent(at, sequence)


def publish(
    events: Iterable[Mapping[str, Any]],
    subscribers: Iterable[Callable[[Event], object]],
    correlation_id: str | None,
    logs: bool = True,
) -> None:
    """Log each event, with the id of the sweep that fetched it, unless `logs` is False; hand it to each subscriber.

    A subscriber that raises does not keep an event from the others, nor does a log that does: filters and handlers are
    the application's.
    """
    import logging
    from contextlib import suppress

    for event in map(event_of, events):
        if logs:
            with suppress(Exception):
                log_event(event, correlation_id)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception as error:  # noqa: BLE001  # a subscriber must not cost the caller its health answer
                with suppress(Exception):
                    logging.getLogger("lifesigns").error("A subscriber to events raised %s", type(error).__name__)


def log_event(event: Event, correlation_id: str | None) -> None:
    """Log an event to the logger of its kind, such as ``lifesigns.checks``, with its fields."""
    import logging

    extra: dict[str, Any] = {"correlation_id": correlation_id, "sequence": event.sequence}
    if isinstance(event, StatusEvent):
        # The end of a failure is as loud as its start: else a log of warnings, the default, would never show it.
        is_quiet = event.to_status in ("healthy", "skipped") and event.from_status not in ("degraded", "error")
        level = logging.INFO if is_quiet else logging.WARNING
        extra |= {
            "check_name": event.check,
            "from_status": event.from_status,
            "to_status": event.to_status,
            "raw_status": event.raw_status,
            "error_type": event.error_type,
            "since": event.since,
        }
        why = f": {line(event.message)}" if event.message else ""
        parts = (event.check, event.from_status or "unknown", event.to_status, why)
        logging.getLogger("lifesigns.checks").log(level, "%s: %s -> %s%s", *parts, extra=extra)
    elif isinstance(event, BreakerEvent):
        level = logging.WARNING if event.to_state == "open" else logging.INFO
        extra |= {"check_name": event.check, "circuit_state": event.to_state, "from_state": event.from_state}
        text, states = "Circuit breaker of %s: %s -> %s", (event.from_state, event.to_state)
        logging.getLogger("lifesigns.breakers").log(level, text, event.check, *states, extra=extra)
    elif isinstance(event, ReadinessEvent):
        extra |= {"ready": event.ready, "failing": list(event.failing), "since": event.since}
        logger = logging.getLogger("lifesigns.readiness")
        if event.ready:
            logger.log(logging.INFO if event.since is None else logging.WARNING, "Ready", extra=extra)
        else:
            logger.warning("Not ready: %s", ", ".join(event.failing), extra=extra)
    elif isinstance(event, IncidentEvent):
        extra |= {"check_name": event.check, "incident": event.incident, "change": event.change}
        extra |= {"severity": event.severity, "channel": event.channel, "since": event.since}
        where = f" by {event.channel}" if event.channel else ""
        words = (event.check, event.change.replace("_", " "), where, event.severity, line(event.message))
        logging.getLogger("lifesigns.incidents").warning("Incident of %s %s%s (%s): %s", *words, extra=extra)
    else:
        logging.getLogger("lifesigns.readiness").info("Draining: this process is about to end", extra=extra)


def log(diagnostics: Iterable[tuple[str, bool, str, str | None]]) -> None:
    """Log what is not about a check, such as a store that cannot be used."""
    import logging
    from contextlib import suppress

    for logger, is_warning, text, address in diagnostics:
        extra = {} if address is None else {"address": address}
        with suppress(Exception):
            logging.getLogger(logger).log(logging.WARNING if is_warning else logging.INFO, text, extra=extra)
