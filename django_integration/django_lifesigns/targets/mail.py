"""From `MAILERS` (Django 6.1) or the `EMAIL_*` settings to the check of the mail server."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import django
from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.settings.values import is_off
from django_lifesigns.targets.context import CannotCheckError, DiscoveryContext, NoTargetError, WrongTargetError
from django_lifesigns.targets.mail_backends import SMTP, require_smtp, sending_backend
from django_lifesigns.targets.mail_greeting import greeting
from lifesigns import specs

OPTIONS = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "timeout": "EMAIL_TIMEOUT",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "ssl_certfile": "EMAIL_SSL_CERTFILE",
    "ssl_keyfile": "EMAIL_SSL_KEYFILE",
}
# Backends that send nothing. A test run has a third one.
KEEPING = frozenset(f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased"))
# Those of Django's SMTP backend.
SMTP_OPTIONS = frozenset(OPTIONS)
# The ports on which a server speaks TLS from the first byte, and those on which it speaks it after STARTTLS.
TLS_PORTS = frozenset([465, 2465])
STARTTLS_PORTS = frozenset([587, 2587])


def aws_ses(search: DiscoveryContext) -> Check:
    """Check 16."""
    return of_mailer(search, "default")


def of_mailer(search: DiscoveryContext, alias: str) -> Check:
    """Log in to the server of one mailer, whichever it is."""
    where, backend, options = _configured(alias)
    require_smtp(sending_backend(backend), where)
    if options.get("host") in (None, "", "localhost") and not options.get("username"):
        raise NoTargetError(f"set {where} to check a mail server")
    server = smtp_of(options, where)
    for option in ("use_tls", "use_ssl"):
        value = options.get(option)
        if value and is_off(value):
            message = f"{where}: {option} ({OPTIONS[option]}) is text, which Django takes for True whatever it says."
            search.note(message, "Use True or False.")
    if server.security == "starttls" and server.port in TLS_PORTS:
        message = f"{where}: port {server.port} speaks TLS from the first byte, with STARTTLS both sides wait."
        search.note(message, "Use EMAIL_USE_SSL (use_ssl) in place of EMAIL_USE_TLS (use_tls).")
    if server.security == "tls" and server.port in STARTTLS_PORTS:
        message = f"{where}: port {server.port} speaks TLS only after STARTTLS."
        search.note(message, "Use EMAIL_USE_TLS (use_tls) in place of EMAIL_USE_SSL (use_ssl).")
    return server


def server_of_mail() -> specs.Smtp | None:
    """Return the server through which the project's mail leaves; None where its backend sends in another way, or not.

    Raises:
        WrongTargetError: the settings cannot be read.
    """
    where, backend, options = _configured("default")
    try:
        require_smtp(sending_backend(backend), where)
    except (CannotCheckError, NoTargetError):
        return None
    return smtp_of(options, where)


def keeps_mail() -> str:
    """Return the backend of the project's mail if that is one of Django's for development; empty if it is not."""
    try:
        backend = sending_backend(_configured("default")[1])
    except (CannotCheckError, NoTargetError, WrongTargetError):
        return ""
    return backend if backend in KEEPING else ""


def mailers() -> list[str]:
    """Return the aliases of `MAILERS`; before Django 6.1, and where it is not set, there is `default` only."""
    configured = _mailers()
    if configured is None:
        return ["default"]
    return list(configured) if isinstance(configured, Mapping) else []


def are_mailers_ignored() -> bool:
    """Return whether there is a `MAILERS` as Django 6.1 has it, and this Django does not read it."""
    configured = getattr(settings, "MAILERS", None)
    mailers = configured.values() if isinstance(configured, Mapping) and _mailers() is None else ()
    return any(isinstance(mailer, Mapping) and {"BACKEND", "OPTIONS"} & mailer.keys() for mailer in mailers)


def smtp_of(options: Mapping[str, object], where: str) -> specs.Smtp:
    """Return the server that Django's SMTP backend would use with these options."""
    # Django asks whether they are true, and the text "False" is.
    use_tls, use_ssl = (bool(options.get(key)) for key in ("use_tls", "use_ssl"))
    if use_tls and use_ssl:
        raise WrongTargetError(f"{where}: use_tls and use_ssl (EMAIL_USE_TLS, EMAIL_USE_SSL) exclude each other")
    _require_sendable(options, where)
    port = str(options.get("port") or "")
    if port and not (port.isascii() and port.isdigit()):
        raise WrongTargetError(f"{where}: the port must be a whole number")
    cert, key = _text(options.get("ssl_certfile")), _text(options.get("ssl_keyfile"))
    return specs.Smtp(
        host=str(options["host"]),
        port=int(port) if port else None,
        username=_text(options.get("username")),
        password=_text(options.get("password")),
        security="tls" if use_ssl else "starttls" if use_tls else "none",
        local_hostname=greeting(),
        tls=specs.Tls(cert=cert, key=key) if cert or key else None,
    )


def _require_sendable(options: Mapping[str, object], where: str) -> None:
    """Refuse values with which smtplib raises before it sends anything."""
    if not options.get("host"):
        raise WrongTargetError(f"{where}: the host (EMAIL_HOST) is empty, so that Django connects to no server")
    timeout = options.get("timeout")
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        raise WrongTargetError(f"{where}: the timeout (EMAIL_TIMEOUT) must be a number of seconds above 0")
    for option in ("username", "password") if options.get("username") and options.get("password") else ():
        if not str(options[option]).isascii():
            raise WrongTargetError(f"{where}: smtplib sends a {option} in ASCII only")


def _mailers() -> object:
    """Return `MAILERS`; None where only the `EMAIL_*` settings count."""
    has_mailers = django.VERSION >= (6, 1) and hasattr(settings, "MAILERS")
    return settings.MAILERS if has_mailers else None  # type: ignore[misc]  # not in every Django


def _configured(alias: str) -> tuple[str, str, Mapping[str, object]]:
    """Return the setting, the backend and its options."""
    if (configured := _mailers()) is not None:
        return _of_mailers(configured, alias)
    options = {option: _deprecated(setting) for option, setting in OPTIONS.items()}
    return "EMAIL_HOST", str(_deprecated("EMAIL_BACKEND") or SMTP), options


def _of_mailers(mailers: object, alias: str) -> tuple[str, str, Mapping[str, object]]:
    where = f"MAILERS[{alias!r}]"
    if not isinstance(mailers, Mapping):
        raise WrongTargetError("MAILERS must be a dict of dicts")
    if alias not in mailers:
        raise NoTargetError(f"set {where} to check a mail server")
    mailer = mailers[alias]
    if not isinstance(mailer, Mapping):
        raise WrongTargetError(f"{where} must be a dict with BACKEND and OPTIONS")
    backend, options = mailer.get("BACKEND", SMTP), mailer.get("OPTIONS", {})
    if not isinstance(backend, str) or not backend:
        raise WrongTargetError(f"{where}['BACKEND'] must be the dotted path of a class")
    if not isinstance(options, Mapping):
        raise WrongTargetError(f"{where}['OPTIONS'] must be a dict of keyword arguments")
    # Of a subclass of the project's own only that knows its options.
    for option in options.keys() - SMTP_OPTIONS if backend == SMTP else ():
        hint = did_you_mean(str(option), SMTP_OPTIONS)
        raise WrongTargetError(f"{where}['OPTIONS'] has an option {option!r} that Django refuses. {hint}")
    return where, backend, options


def _text(value: object) -> str | None:
    return str(value) if value else None


def _deprecated(setting: str) -> object:
    with warnings.catch_warnings():
        # Django 6.1 warns each time these are read; it did so already where they were set.
        warnings.simplefilter("ignore")
        return getattr(settings, setting)
