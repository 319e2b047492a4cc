"""What of the settings shows more to the world than was meant, for `manage.py check`."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.problems import EXPOSED, Problem
from django_lifesigns.settings.values import UNIX

# Shorter ones can be guessed at the rate at which probes are answered.
TOKEN_LENGTH = 16
PROXY_SETTINGS = ("SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT")


def problems(conf: Conf) -> Iterator[Problem]:
    """Each unsafe exposure. DEBUG shows more anyhow, for which `"always"` is no mistake; tokens go to servers, too."""
    if conf.show_details == "always" and not settings.DEBUG:
        message = "LIFESIGNS['SHOW_DETAILS'] = 'always' shows messages and details to everybody."
        yield Problem(EXPOSED, message, "Use 'authorized', and TOKENS or NETWORKS for those who are to see them.")
    if conf.show_details == "never":
        return
    if any(len(token) < TOKEN_LENGTH for token in conf.tokens):
        message = f"LIFESIGNS['TOKENS'] has a token of less than {TOKEN_LENGTH} characters, which can be guessed."
        yield Problem(EXPOSED, message, "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'")
    for network in conf.networks:
        if network.prefixlen == 0:
            message = f"LIFESIGNS['NETWORKS'] has {network}, which is everybody."
            yield Problem(EXPOSED, message, "Name the networks that are to see details.")
    proxies = [name for name in PROXY_SETTINGS if getattr(settings, name, None)]
    if conf.networks and proxies and not conf.trusted_proxies:
        message = f"LIFESIGNS['NETWORKS'] is set behind a proxy ({proxies[0]}), and nothing says which one to believe."
        hint = "Set LIFESIGNS['TRUSTED_PROXIES'] to the networks of the proxies that add to X-Forwarded-For."
        yield Problem(EXPOSED, message, hint)
    for proxy in conf.trusted_proxies:
        if conf.networks and proxy != UNIX and proxy.prefixlen == 0:
            message = f"LIFESIGNS['TRUSTED_PROXIES'] has {proxy}: every caller is believed to be a proxy."
            yield Problem(EXPOSED, message, "Name the networks of your proxies.")
