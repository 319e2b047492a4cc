"""Health checks that answer within their budget under every fault."""

from lifesigns._core import Breaker, UnknownCheckError, __version__, beat, drain, draining
from lifesigns.circuit import Circuit, CircuitOpenError
from lifesigns.declared import check
from lifesigns.engine import Engine
from lifesigns.events import BreakerEvent

__all__ = [
    "Breaker",
    "BreakerEvent",
    "Circuit",
    "CircuitOpenError",
    "Engine",
    "UnknownCheckError",
    "__version__",
    "beat",
    "check",
    "drain",
    "draining",
]
