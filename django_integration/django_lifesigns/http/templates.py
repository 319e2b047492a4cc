"""Our pages from their templates, which a project overrides as usual, and which need nothing else of a project.

The engine is one of our own: without context processors, which may query a database, and whatever `TEMPLATES` says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.template.backends.django import get_installed_libraries
from django.template.utils import get_app_template_dirs
from django.utils.translation import get_language_bidi, override

from django_lifesigns.http.assets import asset_urls
from django_lifesigns.http.headers import NOT_KEPT, page_headers

logger = logging.getLogger("django_lifesigns")

OURS = Path(__file__).resolve().parents[1] / "templates"
FOLDER = "lifesigns"
BACKEND = "django.template.backends.django.DjangoTemplates"
LIBRARIES = {"i18n": "django.templatetags.i18n"}


def project_language() -> override:
    """Return the context in which pages are made.

    Not in the language of the request before on this thread: no middleware has chosen one yet.
    """
    return override(settings.LANGUAGE_CODE)


def render_template(request: HttpRequest, template: str, context: Mapping[str, Any]) -> str:
    """Return the page that a template such as `lifesigns/health.html` makes of a context.

    Beside the context it has `language`, `direction` and `assets`. A template of the project's that fails is logged,
    and ours stands in for it.
    """
    with project_language():
        direction = "rtl" if get_language_bidi() else "ltr"
        values = {"language": settings.LANGUAGE_CODE, "direction": direction, "assets": asset_urls(request), **context}
        if (engine := _engine_of_project()) is not None:
            try:
                return _rendered(engine, template, values)
            except Exception as error:  # noqa: BLE001  # whatever a tag or a filter of the project's raises
                logger.warning("%s: the project's template fails (%s): ours is shown", template, type(error).__name__)
        return _rendered(_engine(), template, values)


def page_response(request: HttpRequest, template: str, context: Mapping[str, Any], code: int = 200) -> HttpResponse:
    """Return the response with the page that a template makes of a context, which no cache keeps."""
    content = render_template(request, template, context).encode()
    headers = {**NOT_KEPT, **page_headers(), "Content-Length": str(len(content))}
    response = HttpResponse(content, "text/html; charset=utf-8", code, headers=headers)
    # Django would log every 4xx and 5xx, and mail each 503 of a probe to ADMINS.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _rendered(engine: Engine, template: str, values: dict[str, Any]) -> str:
    rendered: str = engine.get_template(template).render(Context(values, use_l10n=False))
    return rendered


@lru_cache(1)
def _engine() -> Engine:
    return Engine(dirs=[str(OURS)], libraries=LIBRARIES)


def _engine_of_project() -> Engine | None:
    """Return the engine with the project's templates before ours; None where it overrides none of ours."""
    # A developer who changes a template sees it at once, as with Django's own engines.
    return _overriding.__wrapped__() if settings.DEBUG else _overriding()


@lru_cache(1)
def _overriding() -> Engine | None:
    folders = _folders_of_project()
    if not any(Path(folder, FOLDER).is_dir() for folder in folders):
        return None
    try:
        return Engine(dirs=[*map(str, folders), str(OURS)], libraries={**get_installed_libraries(), **LIBRARIES})
    except Exception as error:  # noqa: BLE001  # whatever the import of a library of the project's raises
        logger.warning("the project's templates cannot be used (%s): ours are shown", type(error).__name__)
        return None


def _folders_of_project() -> list[Path | str]:
    """Return where the project has templates, in the order in which Django looks there."""
    folders: list[Path | str] = []
    templates: list[Any] = settings.TEMPLATES
    for entry in templates:
        if entry.get("BACKEND") == BACKEND:
            folders += entry.get("DIRS", ())
            folders += get_app_template_dirs("templates") if entry.get("APP_DIRS") else ()
    return [folder for folder in folders if Path(folder).resolve() != OURS]


def _reset(**_: object) -> None:
    _overriding.cache_clear()


setting_changed.connect(_reset)
