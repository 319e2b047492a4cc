"""Who sees what: all callers statuses, and reasons those with a token, an allowed network or a staff session."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from django_lifesigns.http.renderers import HINT
from django_lifesigns.http.sessions import is_staff
from django_lifesigns.runtime.waiting import Wait
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.values import UNIX, Proxy

SCHEME = "bearer "
LOCAL_HOSTS = (".localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Caller:
    """What one caller may do."""

    is_authorized: bool
    sees_details: bool
    hint: Mapping[str, str]


async def identify(request: HttpRequest, conf: Conf, wait: Wait) -> Caller:
    """Return what the caller may do; a session is looked up where neither token nor network decide."""
    return caller_of(is_authorized(request, conf) or await is_staff(request, wait), conf)


def identify_without_session(request: HttpRequest, conf: Conf) -> Caller:
    """Return what the caller may do whatever its session, for answers that have a budget."""
    return caller_of(is_authorized(request, conf), conf)


def is_authorized(request: HttpRequest, conf: Conf) -> bool:
    """Return whether the caller has a token, an address in an allowed network, or is a developer on this host."""
    return _has_token(request, conf) or _in_network(request, conf) or _is_developer(request)


def client_address(request: HttpRequest, proxies: tuple[Proxy, ...]) -> IPv4Address | IPv6Address | None:
    """Return the address of the caller; None where it is unknown.

    Each proxy adds the address that it was called from to `X-Forwarded-For`. That is believed of callers from the
    networks of `proxies` alone: the last address that is not one of theirs is the caller's, and what stands left of it
    was written by the caller. A proxy that names no caller is unknown, and so is another caller that names one.
    """
    peer = (request.META.get("REMOTE_ADDR") or "").strip()
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR")
    # The other end of a Unix socket has no address.
    if not (_is_proxy(peer, proxies) if peer else UNIX in proxies):
        return None if forwarded else _address(peer)
    hops = (forwarded or "").split(",")
    return _address(next((hop for hop in reversed(hops) if not _is_proxy(hop, proxies)), hops[0]))


def caller_of(authorized: bool, conf: Conf) -> Caller:
    """Return what a caller may do that is authorized or not."""
    details = authorized if conf.show_details == "authorized" else conf.show_details == "always"
    hint = {} if details or conf.show_details == "never" else {"hint": HINT}
    return Caller(authorized, details, hint)


def _is_proxy(hop: str, proxies: tuple[Proxy, ...]) -> bool:
    address = _address(hop)
    return address is not None and any(proxy != UNIX and address in proxy for proxy in proxies)


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


def _is_developer(request: HttpRequest) -> bool:
    """Return whether the caller is on this host, under DEBUG, by a name that no other site can make a browser use."""
    if not settings.DEBUG or "HTTP_X_FORWARDED_FOR" in request.META:
        return False
    address = _address(request.META.get("REMOTE_ADDR") or "")
    domain, _ = split_domain_port(request.META.get("HTTP_HOST") or request.META.get("SERVER_NAME", ""))
    return address is not None and address.is_loopback and validate_host(domain, [*LOCAL_HOSTS, *_allowed_hosts()])


def _allowed_hosts() -> list[str]:
    return [host for host in settings.ALLOWED_HOSTS if host != "*"]


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
