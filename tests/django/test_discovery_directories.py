"""From STORAGES, MEDIA_ROOT, STATIC_ROOT and LOG_DIR to the check of directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, Storage

from lifesigns import specs

FILES = "django.core.files.storage.FileSystemStorage"
STATIC = "django.contrib.staticfiles.storage.StaticFilesStorage"
MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
SETTINGS = {"MEDIA_ROOT": "/media", "STATIC_ROOT": "/usr", "LOG_DIR": "/log"}
MEDIA = {"MEDIA_ROOT": specs.Directory(path="/media", critical=True)}
LOG = {"LOG_DIR": specs.Directory(path="/log", critical=True)}
READ = {"STATIC_ROOT": specs.Directory(path="/usr", critical=False, mode="read")}
WRITTEN = {"STATIC_ROOT": specs.Directory(path="/usr", critical=False, mode="write")}


class Bucket(Storage):
    """Keeps files elsewhere."""


class Private(FileSystemStorage):
    """Knows its place by itself."""

    def __init__(self) -> None:
        super().__init__(location="/private")


def storages(default: Any, **more: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": default}, "staticfiles": {"BACKEND": STATIC}, **more}


@pytest.fixture
def staticfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_lifesigns.targets.directories.apps.is_installed", "django.contrib.staticfiles".__eq__)


@pytest.mark.usefixtures("staticfiles")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, MEDIA | LOG | READ),
        ({name: Path(path) for name, path in SETTINGS.items()}, MEDIA | LOG | READ),
        ({"LIFESIGNS": {"REQUIRED": ["directory_permissions"]}}, MEDIA | LOG | WRITTEN),
        ({"LIFESIGNS": {"REQUIRED": "all"}}, MEDIA | LOG | WRITTEN),
        ({"DEBUG": True}, MEDIA | LOG),
        # The directory is in the image of the web server.
        ({"STATIC_ROOT": "/no/such/directory"}, MEDIA | LOG),
        (
            {"STATIC_ROOT": "/none", "STORAGES": storages(FILES, staticfiles={"BACKEND": MANIFEST})},
            MEDIA | LOG | {"STATIC_ROOT": specs.Directory(path="/none", critical=False, mode="read")},
        ),
        ({"STORAGES": storages(f"{__name__}.Bucket")}, LOG | READ),
        ({"STORAGES": storages(f"{__name__}.Bucket", staticfiles={"BACKEND": f"{__name__}.Bucket"})}, LOG),
        ({"STORAGES": storages(FILES, staticfiles={"BACKEND": MANIFEST})}, MEDIA | LOG | READ),
        (
            {"STORAGES": storages(f"{__name__}.Private")},
            {"STORAGES['default']": specs.Directory(path="/private", critical=True)} | LOG | READ,
        ),
        (
            {"STORAGES": storages(FILES, backups={"BACKEND": FILES, "OPTIONS": {"location": Path("/backups")}})},
            MEDIA | {"STORAGES['backups']": specs.Directory(path="/backups", critical=False)} | LOG | READ,
        ),
    ],
)
def test_discover__directories(discovered: Any, given: Any, expected: Any) -> None:
    found, problems = discovered(**{**SETTINGS, **given})
    assert problems == []
    assert found["directory_permissions"].check == specs.Directories(directories=expected)


@pytest.mark.usefixtures("staticfiles")
@pytest.mark.parametrize(("given", "expected"), [(storages("no.such.Storage"), LOG | READ), ({"default": {}}, LOG)])
def test_discover__storage_that_cannot_be_imported_is_that_of_its_own_check(
    discovered: Any, given: Any, expected: Any
) -> None:
    found, [problem] = discovered(**SETTINGS, STORAGES=given)
    assert problem.message.startswith("STORAGES['default'] needs a BACKEND")
    assert found["directory_permissions"].check == specs.Directories(directories=expected)


def test_discover__static_files_that_django_does_not_serve(discovered: Any) -> None:
    found, _ = discovered(**SETTINGS)
    assert found["directory_permissions"].check == specs.Directories(directories=MEDIA | LOG)


@pytest.mark.parametrize("given", [{}, {"MEDIA_ROOT": "/media", "STORAGES": storages(f"{__name__}.Bucket")}])
def test_discover__no_directory(discovered: Any, given: Any) -> None:
    found, problems = discovered(**given)
    assert problems == []
    assert isinstance(found["directory_permissions"].check, specs.Skipped)


def test_discover__readiness_does_not_write_each_time(discovered: Any) -> None:
    found, _ = discovered(**SETTINGS, LIFESIGNS={"CHECKS": {"directory_permissions": {"ttl": 60}}})
    assert found["directory_permissions"].options["ready_max_age"] == 60


@pytest.mark.parametrize("storage", [FILES, f"{__name__}.Bucket"])
def test_directories__that_do_not_exist_yet(settings: Any, tmp_path: Path, storage: str) -> None:
    from django_lifesigns.runtime.engine import get_engine

    settings.MEDIA_ROOT = tmp_path / "made" / "at the first upload"
    settings.STORAGES = storages(storage)
    status = get_engine().check("directory_permissions")["status"]
    assert status == ("healthy" if storage == FILES else "skipped")
    assert list(tmp_path.iterdir()) == []


def test_directories__static_files_of_a_read_only_image(settings: Any, tmp_path: Path, staticfiles: None) -> None:
    from django_lifesigns.runtime.engine import get_engine

    settings.STATIC_ROOT = "/proc"  # which can be read, and not written to
    assert get_engine().check("directory_permissions")["status"] == "healthy"
    settings.LIFESIGNS = {"REQUIRED": ["directory_permissions"]}
    assert get_engine().check("directory_permissions")["status"] == "degraded"
