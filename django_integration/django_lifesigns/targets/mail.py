"""From `MAILERS` (Django 6.1) or the `EMAIL_*` settings to the check of the mail server."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import django
from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs

SMTP = "django.core.mail.backends.smtp.EmailBackend"
OPTIONS = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "ssl_certfile": "EMAIL_SSL_CERTFILE",
    "ssl_keyfile": "EMAIL_SSL_KEYFILE",
}


def aws_ses(search: DiscoveryContext) -> Check:
    """Check 16."""
    if django.VERSION >= (6, 1) and hasattr(settings, "MAILERS"):
        where = "MAILERS['default']"
        mailer = settings.MAILERS.get("default", {})  # type: ignore[misc]  # not in every Django
        backend, options = mailer.get("BACKEND", SMTP), mailer.get("OPTIONS", {})
    else:
        where = "EMAIL_HOST"
        backend = _deprecated("EMAIL_BACKEND")
        options = {option: _deprecated(setting) for option, setting in OPTIONS.items()}
    unset = options.get("host") in (None, "", "localhost") and not options.get("username")
    if unset or not _is_smtp(str(backend)):
        raise NoTargetError(f"set {where} (and an SMTP backend) to check a mail server")
    return smtp_of(options, where)


def smtp_of(options: Mapping[str, object], where: str) -> specs.Smtp:
    """The server that Django's SMTP backend would use with these options."""
    if options.get("use_tls") and options.get("use_ssl"):
        raise WrongTargetError(f"{where}: use_tls and use_ssl (EMAIL_USE_TLS, EMAIL_USE_SSL) exclude each other")
    try:
        port = int(str(options["port"])) if options.get("port") else None
    except ValueError as error:
        raise WrongTargetError(f"{where}: the port must be a whole number") from error
    cert, key = _text(options.get("ssl_certfile")), _text(options.get("ssl_keyfile"))
    return specs.Smtp(
        host=str(options.get("host") or "localhost"),
        port=port,
        username=_text(options.get("username")),
        password=_text(options.get("password")),
        security="tls" if options.get("use_ssl") else "starttls" if options.get("use_tls") else "none",
        tls=specs.Tls(cert=cert, key=key) if cert or key else None,
    )


def _is_smtp(backend: str) -> bool:
    return any(word in backend.lower() for word in ("smtp", "ses"))


def _text(value: object) -> str | None:
    return str(value) if value else None


def _deprecated(setting: str) -> object:
    with warnings.catch_warnings():
        # Django 6.1 warns whoever reads these; those who set them were told so already.
        warnings.simplefilter("ignore")
        return getattr(settings, setting)
