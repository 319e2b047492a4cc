"""Health checks that answer within their budget under every fault."""

from lifesigns._core import (
    Breaker,
    UnknownCheckError,
    __version__,
    beat,
    close_connections,
    drain,
    draining,
    metrics_format,
)
from lifesigns.circuit import Circuit, CircuitOpenError
from lifesigns.declared import check
from lifesigns.engine import Engine
from lifesigns.events import BreakerEvent
from lifesigns.serving import ProbeServer, metrics, notify_systemd, serve
from lifesigns.wedge import watch_loop

__all__ = [
    "Breaker",
    "BreakerEvent",
    "Circuit",
    "CircuitOpenError",
    "Engine",
    "ProbeServer",
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
