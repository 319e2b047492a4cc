"""Backends that hand mail on, or send it through an API, as the real packages have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, sqlite

SMTP = "django.core.mail.backends.smtp.EmailBackend"
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
FILE = "django.core.mail.backends.filebased.EmailBackend"

# What the package itself takes for the backend that sends at last, and what the check does.
OURS = (
    "from django_lifesigns.targets.mail_backends import sending_backend\nfrom django.conf import settings\nimport json"
)
PROGRAMS = {
    "post_office": "from post_office.settings import get_backend\ntheirs = get_backend()",
    "djcelery_email": "import djcelery_email.conf\ntheirs = settings.CELERY_EMAIL_BACKEND",
    "mailer": """
import mailer.engine
class Found(Exception): ...
def record(backend): raise Found(backend)
mailer.engine._require_no_backend_loop = record
try:
    mailer.engine.send_all()
except Found as found:
    [theirs] = found.args""",
}
APIS = ("anymail.backends.amazon_ses.EmailBackend", "anymail.backends.test.EmailBackend", "django_ses.SESBackend")


@pytest.mark.parametrize(
    ("backend", "given", "sends"),
    [
        ("post_office.EmailBackend", {}, SMTP),
        ("post_office.EmailBackend", {"POST_OFFICE": {"BACKENDS": {"default": LOCMEM}}}, LOCMEM),
        ("post_office.EmailBackend", {"POST_OFFICE": {"BACKENDS": {}}}, SMTP),
        ("post_office.EmailBackend", {"POST_OFFICE": {"EMAIL_BACKEND": FILE}}, FILE),
        ("djcelery_email.backends.CeleryEmailBackend", {}, SMTP),
        ("djcelery_email.backends.CeleryEmailBackend", {"CELERY_EMAIL_BACKEND": LOCMEM}, LOCMEM),
        ("mailer.backend.DbBackend", {}, SMTP),
        ("mailer.backend.DbBackend", {"MAILER_EMAIL_BACKEND": FILE}, FILE),
    ],
)
def test_wrapper_sends_by_the_backend_that_the_package_uses(
    tmp_path: Path, backend: str, given: dict[str, Any], sends: str
) -> None:
    package = backend.partition(".")[0]
    pytest.importorskip(package)
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django_lifesigns", package]
    settings = {"DATABASES": sqlite(tmp_path), "EMAIL_BACKEND": backend, "INSTALLED_APPS": apps, **given}
    # Ours first: the packages change the settings when they are imported.
    program = f"{OURS}\nours = sending_backend(settings.EMAIL_BACKEND)\n{PROGRAMS[package]}"
    found = run_json(tmp_path, settings, f"{program}\nprint(json.dumps([ours, theirs]))")
    assert found == [sends, sends]


@pytest.mark.parametrize("backend", APIS)
def test_api_is_named_and_is_no_mail_server(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend.partition(".")[0])
    program = """
import json
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string
from django_lifesigns.targets.context import CannotCheckError
from django_lifesigns.targets.mail_backends import require_smtp, sending_backend
from django.conf import settings
try:
    require_smtp(sending_backend(settings.EMAIL_BACKEND), "EMAIL_HOST")
except CannotCheckError as error:
    print(json.dumps([issubclass(import_string(settings.EMAIL_BACKEND), EmailBackend), str(error)]))
"""
    settings = {"DATABASES": sqlite(tmp_path), "EMAIL_BACKEND": backend, "EMAIL_HOST": "old.example.org"}
    is_smtp, said = run_json(tmp_path, settings, program)
    assert (is_smtp, said) == (False, f"mail is sent through an API ({backend})")
