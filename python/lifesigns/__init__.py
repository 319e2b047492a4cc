"""Health checks that answer within their budget under every fault."""

from lifesigns._core import (
    Breaker,
    Sweep,
    __version__,
    beat,
    close_connections,
    drain,
    draining,
    metrics_format,
)
from lifesigns.checks import check
from lifesigns.circuit import Circuit
from lifesigns.engine import Engine
from lifesigns.exceptions import CheckDegraded, CheckFailed, CircuitOpenError, UnknownCheckError
from lifesigns.serving import ProbeServer, metrics, notify_systemd, serve
from lifesigns.wedge import watch_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifesigns.events import BreakerEvent, DrainingEvent, ReadinessEvent, StatusEvent

__all__ = [
    "Breaker",
    "BreakerEvent",
    "CheckDegraded",
    "CheckFailed",
    "Circuit",
    "CircuitOpenError",
    "DrainingEvent",
    "Engine",
    "ProbeServer",
    "ReadinessEvent",
    "StatusEvent",
    "Sweep",
    "UnknownCheckError",
    "__version__",
    "beat",
    "check",
    "close_connections",
    "drain",
    "draining",
    "metrics",
    "metrics_format",
    "notify_systemd",
    "serve",
    "watch_loop",
]


def __getattr__(name: str) -> object:
    if name in ("BreakerEvent", "DrainingEvent", "ReadinessEvent", "StatusEvent"):
        # Here, since named tuples take longer to import than the rest together.
        from lifesigns import events

        return getattr(events, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
