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
    uptime,
)
from lifesigns.exceptions import (
    CheckDegraded,
    CheckFailed,
    CircuitOpenError,
    DeclarationError,
    JobError,
    NotStartedError,
    StillRunningError,
    UnknownCheckError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifesigns.asgi_app import asgi
    from lifesigns.checks import check
    from lifesigns.circuit import Circuit
    from lifesigns.engine import Engine
    from lifesigns.events import BreakerEvent, DrainingEvent, IncidentEvent, ReadinessEvent, StatusEvent
    from lifesigns.job import Job, JobResult
    from lifesigns.serving import ProbeServer, hold_address, metrics, notify_systemd, serve
    from lifesigns.shutdown import drain_on_sigterm
    from lifesigns.wedge import watch_loop

__all__ = [
    "Breaker",
    "BreakerEvent",
    "CheckDegraded",
    "CheckFailed",
    "Circuit",
    "CircuitOpenError",
    "DeclarationError",
    "DrainingEvent",
    "Engine",
    "IncidentEvent",
    "Job",
    "JobError",
    "JobResult",
    "NotStartedError",
    "ProbeServer",
    "ReadinessEvent",
    "StatusEvent",
    "StillRunningError",
    "Sweep",
    "UnknownCheckError",
    "__version__",
    "asgi",
    "beat",
    "check",
    "close_connections",
    "drain",
    "drain_on_sigterm",
    "draining",
    "hold_address",
    "metrics",
    "metrics_format",
    "notify_systemd",
    "serve",
    "uptime",
    "watch_loop",
]

# Imported when they are first used: `import lifesigns` loads the native engine and little else.
_LAZY = {
    "BreakerEvent": "events",
    "Circuit": "circuit",
    "DrainingEvent": "events",
    "Engine": "engine",
    "IncidentEvent": "events",
    "Job": "job",
    "JobResult": "job",
    "ProbeServer": "serving",
    "ReadinessEvent": "events",
    "StatusEvent": "events",
    "asgi": "asgi_app",
    "check": "checks",
    "drain_on_sigterm": "shutdown",
    "hold_address": "serving",
    "metrics": "serving",
    "notify_systemd": "serving",
    "serve": "serving",
    "watch_loop": "wedge",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(f"lifesigns.{_LAZY[name]}", fromlist=[name]), name)
    globals()[name] = value
    return value
