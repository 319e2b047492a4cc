"""Who sees what: everybody how it is, and why only those who are known by a token, their network or their session."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest

from django_lifesigns.runtime.engine import Runtime
from django_lifesigns.settings.conf import Conf

SCHEME = "bearer "


def sees_details(request: HttpRequest, conf: Conf, runtime: Runtime | None = None) -> bool:
    """Whether messages and details are for this caller; with `runtime` a session is asked for, too."""
    if conf.show_details == "authorized":
        return is_authorized(request, conf, runtime)
    return conf.show_details == "always"


def is_authorized(request: HttpRequest, conf: Conf, runtime: Runtime | None = None) -> bool:
    """Whether the caller is known by a token or a network, or, with `runtime`, by the session of a staff user."""
    known = _has_token(request, conf) or _in_network(request, conf)
    return known or (runtime is not None and _is_staff(request, runtime))


def client_address(request: HttpRequest, trusted_proxies: int) -> IPv4Address | IPv6Address | None:
    """The address of the caller as the last `trusted_proxies` proxies in front of Django tell it; None if they do not.

    Each proxy adds the address that it was called from to `X-Forwarded-For`; what stands left of theirs was written by
    the caller. A request that came through another number of proxies is from nobody.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    hops = [*(forwarded.split(",") if forwarded else ()), request.META.get("REMOTE_ADDR") or ""]
    if forwarded and not trusted_proxies:
        return None
    return _address(hops[-1 - trusted_proxies]) if len(hops) > trusted_proxies else None


def _is_staff(request: HttpRequest, runtime: Runtime) -> bool:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not hasattr(request, "user"):
        return False
    # Looking up a session would hang with the database, and the answer about the database with it.
    database = runtime.names.get("database_connectivity")
    if database and runtime.engine.check(database, max_age=runtime.conf.ready_max_age)["status"] == "error":
        return False
    try:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))
    except DatabaseError:
        return False


def _has_token(request: HttpRequest, conf: Conf) -> bool:
    sent = request.META.get("HTTP_AUTHORIZATION", "")
    if sent[: len(SCHEME)].lower() != SCHEME:
        return False
    digest = _digest(sent[len(SCHEME) :].strip())
    # Every token is compared, and each by its digest: how long it takes says nothing about any of them.
    return any([hmac.compare_digest(digest, _digest(token)) for token in conf.tokens])  # noqa: C419


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _in_network(request: HttpRequest, conf: Conf) -> bool:
    if not conf.networks:
        return False
    address = client_address(request, conf.trusted_proxies)
    return address is not None and any(address in network for network in conf.networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: some add the port; an IPv6 socket shows IPv4 callers as ::ffff:192.0.2.1."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
