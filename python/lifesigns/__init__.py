"""Health checks that answer within their budget under every fault."""

import sys

try:
    from lifesigns import _core

    _is_off = not _core.owns_engine()
except ImportError as error:
    if "subinterpreter" not in str(error):
        raise
    _is_off = True
if _is_off:  # another interpreter of this process has the engine: see `switched_off`
    from lifesigns import switched_off as _core  # type: ignore[no-redef]

    sys.modules["lifesigns._core"] = _core
    _core.log()  # type: ignore[attr-defined]

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

# Imported when they are first used, since they take longer to import than the rest together.
_LAZY = {"BreakerEvent": "events", "DrainingEvent": "events", "ReadinessEvent": "events", "StatusEvent": "events"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(f"lifesigns.{_LAZY[name]}", fromlist=[name])
    return getattr(module, name)
