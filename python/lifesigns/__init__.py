"""Health checks that answer within their budget under every fault."""

from lifesigns._core import Breaker, UnknownCheckError, __version__, drain, draining
from lifesigns.engine import Engine
from lifesigns.events import BreakerEvent
from lifesigns.serving import ProbeServer, serve

__all__ = [
    "Breaker",
    "BreakerEvent",
    "Engine",
    "ProbeServer",
    "UnknownCheckError",
    "__version__",
    "drain",
    "draining",
    "serve",
]
