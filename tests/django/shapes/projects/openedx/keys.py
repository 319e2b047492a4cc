"""Keys of the caches."""

from __future__ import annotations

from hashlib import sha256


def safe_key(key: str, prefix: str, version: int) -> str:
    """Return a key that memcached, too, would take."""
    return f"{prefix}:{version}:{sha256(key.encode()).hexdigest() if len(key) > 200 else key}"
