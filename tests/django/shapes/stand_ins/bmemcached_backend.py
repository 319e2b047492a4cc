"""A stand-in for a cache backend on memcached."""

from __future__ import annotations

from django.core.cache.backends.filebased import FileBasedCache


class SingletonBMemcached(FileBasedCache):
    """Keeps what it is given for all processes, as memcached would; LOCATION is the server's address."""

    def __init__(self, server: str, params: dict[str, object]) -> None:
        options = params.pop("OPTIONS", {})
        assert isinstance(options, dict)
        super().__init__(f"memcached-{server.replace(':', '-')}", params)
        self.username = options.get("username")
