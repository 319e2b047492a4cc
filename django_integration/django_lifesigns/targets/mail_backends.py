"""Which of Django's mail backends sends at last, and whether it does so by SMTP."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.core.mail.backends import smtp
from django.utils.module_loading import import_string

from django_lifesigns.targets.context import CannotCheckError, NoTargetError, WrongTargetError

SMTP = "django.core.mail.backends.smtp.EmailBackend"
# Backends that hand mail on, by their packages, and the setting that names the one that sends it.
WRAPPERS = {
    "djcelery_email": "CELERY_EMAIL_BACKEND",
    "celery_mailer": "CELERY_EMAIL_BACKEND",
    "django_yubin": "MAILER_USE_BACKEND",
    "email_log": "EMAIL_LOG_BACKEND",
    "mailer": "MAILER_EMAIL_BACKEND",
}
# Packages that send through an API. They need not be importable here, nor import half of a cloud's client for this.
APIS = frozenset(
    [
        "anymail",
        "azure_communication_email",
        "django_amazon_ses",
        "django_mailgun",
        "django_mailjet",
        "django_mailersend",
        "django_ses",
        "postmarker",
        "resend",
        "sendgrid_backend",
        "sgbackend",
        "sparkpost",
    ]
)
LONGEST_CHAIN = 4


def sending_backend(backend: str) -> str:
    """Return the backend that sends mail where `backend` may only hand it on to another."""
    for _ in range(LONGEST_CHAIN):
        package = backend.partition(".")[0]
        if package == "post_office":
            backend = _of_post_office()
        elif package in WRAPPERS:
            backend = str(getattr(settings, WRAPPERS[package], None) or SMTP)
        else:
            break
    return backend


def require_smtp(backend: str, where: str) -> None:
    """Return where a backend sends by SMTP, and raise what says why it is not checked where it does not."""
    if backend.partition(".")[0] in APIS:
        raise CannotCheckError(f"mail is sent through an API ({backend})")
    try:
        kind = import_string(backend)
    except Exception as error:  # whatever its module raises when it is imported
        raise WrongTargetError(f"{where}: the mail backend {backend!r} cannot be imported") from error
    if isinstance(kind, type) and issubclass(kind, smtp.EmailBackend):
        return
    if backend.startswith("django.core.mail.backends."):
        raise NoTargetError(f"set {where} and an SMTP backend to check a mail server: {backend} sends nothing")
    raise CannotCheckError(f"mail is not sent by SMTP ({backend}): through an API, or not at all")


def _of_post_office() -> str:
    config = getattr(settings, "POST_OFFICE", None)
    if not isinstance(config, Mapping):
        return SMTP
    backends = config.get("BACKENDS")
    # The second is the older way to say it.
    given = backends.get("default") if isinstance(backends, Mapping) and backends else config.get("EMAIL_BACKEND")
    return str(given or SMTP)
