"""A file storage through Django's storages: whether it answers, or keeps an object that is written to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages

from django_lifesigns.checks.imports import storage_modules
from django_lifesigns.checks.servers import storage_server

# Of the names of all objects, so that a rule of the bucket can expire what a killed process has left behind.
PREFIX = "lifesigns-"
FORBIDDEN, NOT_FOUND = 403, 404
# S3's words: the credentials are known and may not do this. Others, and a HEAD, whose answer has no word, may be wrong.
DENIED, NO_WORD = "AccessDenied", "403"
CODE = re.compile(r"[A-Za-z0-9]{1,60}")

# By alias, the objects that could not be deleted: the next run deletes them before it writes another one.
_undeleted: dict[str, list[str]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageCheck:
    """Requests an object that there is not, and its bucket; with `write` it writes, reads and deletes one."""

    alias: str
    write: bool = False

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        return storage_modules(self.alias)

    @property
    def server_address(self) -> str | None:
        """Return where it looks."""
        return storage_server(self.alias)

    def __call__(self) -> dict[str, object]:
        storage = storages[self.alias]
        status, message, test = (self._round_trip if self.write else self._exists)(storage)
        details = {"backend": settings.STORAGES[self.alias]["BACKEND"], **test}
        return {"status": status, "message": message, "details": details}

    def _exists(self, storage: Storage) -> tuple[str, str, dict[str, str]]:
        name = _new_name()
        try:
            storage.exists(name)
        except NotImplementedError:
            message = "This storage cannot say whether an object exists: set 'write' to True to check it"
            return "skipped", message, {}
        except Exception as error:  # of the client's library, which need not be installed here
            if _status(error) != FORBIDDEN:
                raise
            code = _refusal(storage, name, error)
            if code != DENIED:
                return "error", f"Storage {self.alias!r} refuses ({code})", {"exists_test": "failed"}
            message = f"Storage {self.alias!r} knows the credentials, which may not list objects"
            return "healthy", message, {"exists_test": "not permitted"}
        if _is_without_bucket(storage):
            return "error", f"The bucket of storage {self.alias!r} does not exist", {"exists_test": "failed"}
        return "healthy", f"Storage {self.alias!r} answers", {"exists_test": "passed"}

    def _round_trip(self, storage: Storage) -> tuple[str, str, dict[str, str]]:
        for name in _undeleted.pop(self.alias, []):
            _delete(storage, self.alias, name)
        if self.alias in _undeleted:
            names = ", ".join(_undeleted[self.alias])
            message = f"Storage {self.alias!r} cannot delete {names}: no further object is written until that is gone"
            return "error", message, {"read_write_test": "failed"}
        name, content = _new_name(), uuid4().hex.encode()
        try:
            # A storage may choose another name.
            name = storage.save(name, ContentFile(content))
            with storage.open(name) as file:
                passed = file.read(len(content) + 1) == content
        finally:
            # Also where saving failed: a request that timed out here may have succeeded there.
            deleted = _delete(storage, self.alias, name)
        test = {"read_write_test": "passed" if passed and deleted else "failed"}
        if not deleted:
            return "error", f"Storage {self.alias!r} could not delete {name}", test
        if not passed:
            return "error", f"Storage {self.alias!r} returned something else than was written", test
        return "healthy", f"Storage {self.alias!r} reads and writes", test


def _is_without_bucket(storage: Any) -> bool:
    """Return whether S3 says that the bucket is not there: to a question for an object it answers the same for both."""
    bucket = getattr(storage, "bucket", None)
    client = getattr(getattr(bucket, "meta", None), "client", None)
    if not hasattr(client, "head_bucket"):  # no boto3
        return False
    try:
        client.head_bucket(Bucket=bucket.name)  # type: ignore[union-attr]
    except Exception as error:  # of botocore, which need not be installed here
        if _status(error) == FORBIDDEN:  # a user who may not know that may use the objects all the same
            return False
        if _status(error) != NOT_FOUND:
            raise
        return True
    return False


def _new_name() -> str:
    return f"{PREFIX}{uuid4().hex}.txt"


def _delete(storage: Storage, alias: str, name: str) -> bool:
    try:
        storage.delete(name)
    except Exception:  # noqa: BLE001  # of the client's library; the caller says so
        _undeleted.setdefault(alias, []).append(name)
        return False
    return True


def _refusal(storage: Storage, name: str, error: Exception) -> str:
    """Return why a request was forbidden, in the word of S3; `DENIED` also for storages of another protocol, which
    answer unknown credentials with 401."""
    code = _code(error)
    if code == NO_WORD:
        try:
            storage.listdir(name)
        except Exception as again:  # noqa: BLE001  # of the client's library
            return _code(again) or type(again).__name__
        return DENIED
    return code or DENIED


def _status(error: Any) -> object:
    """Return the status code of an HTTP error of botocore, of Azure's client or of Google's."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return getattr(error, "status_code", None) or getattr(error, "code", None)


def _code(error: Any) -> str | None:
    """Return botocore's word for an error, which is no secret."""
    response = getattr(error, "response", None)
    code = str(response.get("Error", {}).get("Code")) if isinstance(response, Mapping) else ""
    return code if CODE.fullmatch(code) else None
