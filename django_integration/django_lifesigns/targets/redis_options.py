"""The options of a Redis client in a cache's settings, as the fields of the native check have them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Literal

from lifesigns import specs

TLS_OPTIONS = frozenset(["ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
# By which a client makes its password at each login.
PROVIDER = "credential_provider"
# django-redis and django-valkey have these in capitals.
IN_CAPITALS = ("USERNAME", "PASSWORD", "SENTINELS", "SENTINEL_KWARGS", "CREDENTIAL_PROVIDER")
# Of the client library, and without influence on which server is reached.
WITHOUT_EFFECT = frozenset(
    [
        "connection_class",
        "pool_class",
        "parser_class",
        "serializer",
        "socket_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_keepalive_options",
        "socket_read_size",
        "retry",
        "retry_on_timeout",
        "retry_on_error",
        "health_check_interval",
        "max_connections",
        "timeout",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "protocol",
        "client_name",
        "lib_name",
        "lib_version",
    ]
)


def client_options(options: Mapping[str, Any], backend: str = "") -> dict[str, Any]:
    """Return the options for the client in redis-py's words, and whether it is one of a `cluster`."""
    found = {key: value for key, value in options.items() if key.islower()}
    found |= {key.lower(): options[key] for key in IN_CAPITALS if key in options}
    classes = (
        backend,
        *(str(options.get(key, "")) for key in ("REDIS_CLIENT_CLASS", "BASE_CLIENT_CLASS", "CLIENT_CLASS")),
    )
    found["cluster"] = any("cluster" in name.lower() for name in classes)
    return found | dict(options.get("CONNECTION_POOL_KWARGS") or {})


def is_encrypted(options: dict[str, Any]) -> bool:
    """Return whether the options, and not the URL, require TLS, and take that out of them."""
    return bool(options.pop("ssl", None)) or "SSL" in str(options.get("connection_class", ""))


def sentinel_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return what names the sentinels, and how they are reached, and take it out of the options.

    Clients connect to sentinels with the sentinels' own options alone: without `ssl` there they do not encrypt.
    """
    sentinels = options.pop("sentinels", None)
    own = options.pop("sentinel_kwargs", None) or {}
    if not sentinels:
        return {}
    fields: dict[str, Any] = {"sentinels": [f"{host}:{port}" for host, port in sentinels]}
    fields |= {f"sentinel_{key}": str(own[key]) for key in ("username", "password") if own.get(key)}
    fields["sentinel_encrypted"] = bool(own.get("ssl"))
    if fields["sentinel_encrypted"]:
        fields["sentinel_tls"] = tls_of(own)
    return fields


def tls_of(options: Mapping[str, Any]) -> specs.Tls:
    """Return how redis-py trusts a server with these options."""
    verify: Literal["full", "chain", "nothing"] = "full"
    if not options.get("ssl_check_hostname", True):
        verify = "chain"
    required = options.get("ssl_cert_reqs", "required")
    if (
        required is None
        or required == ssl.CERT_NONE
        or str(required).lower().rpartition(".")[2] in ("none", "cert_none")
    ):
        verify = "nothing"
    files = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
    return specs.Tls(verify=verify, **{field: options[key] for field, key in files.items() if options.get(key)})
