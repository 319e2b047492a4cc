"""Health checks that answer within their budget under every fault."""

from lifesigns._core import UnknownCheckError, __version__
from lifesigns.engine import Engine

__all__ = ["Engine", "UnknownCheckError", "__version__"]
