"""The project, as its settings name it."""

from __future__ import annotations

import re

from django.conf import settings

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def project_name() -> str:
    """Return the name of the project's package, by its URLs, as the engine takes it for that of an application."""
    package = str(getattr(settings, "ROOT_URLCONF", "") or "").partition(".")[0]
    return NOT_IN_NAMES.sub("", package)[:60] or "django"
