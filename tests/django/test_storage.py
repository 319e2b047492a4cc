"""The check of a storage: what it requests, what it leaves behind, and what it says of a refusal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.files.storage import FileSystemStorage, storages

from django_lifesigns.checks import storage as module
from django_lifesigns.checks.connections import runnable
from django_lifesigns.checks.storage import PREFIX, StorageCheck
from lifesigns import Engine
from tests.django.remote_storage import RemoteStorage
from tests.services import S3 as S3Server
from tests.services import free_port, wait_until

REMOTE = "tests.django.remote_storage.RemoteStorage"
S3 = "storages.backends.s3.S3Storage"
KEYS = {"access_key": "key", "secret_key": "hunter2", "region_name": "us-east-1"}


class Folder(FileSystemStorage):
    """A storage of the project's own."""


class Refusal(Exception):
    """As Azure's and Google's clients raise it."""

    def __init__(self, code: int) -> None:
        self.status_code = code


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("objects", {}), ("calls", []), ("fails", {}), ("held", None)):
        monkeypatch.setattr(RemoteStorage, name, value)
    monkeypatch.setattr(module, "_undeleted", {})


@pytest.fixture
def check(settings: Any) -> Any:
    """Run the check of a storage with this backend and these options."""

    def run(backend: str = REMOTE, *, write: bool = False, **options: Any) -> dict[str, Any]:
        settings.STORAGES = {**settings.STORAGES, "media": {"BACKEND": backend, "OPTIONS": options}}
        return StorageCheck(alias="media", write=write)()

    return run


def test_exists__requests_one_object_and_writes_none(check: Any) -> None:
    result = check()
    assert (result["status"], result["message"]) == ("healthy", "Storage 'media' answers")
    assert result["details"] == {"backend": REMOTE, "exists_test": "passed"}
    assert (RemoteStorage.calls, RemoteStorage.objects) == (["exists"], {})


def test_exists__where_the_storage_cannot_say(check: Any) -> None:
    RemoteStorage.fails["exists"] = NotImplementedError()
    assert (check()["status"], "'write'" in check()["message"]) == ("skipped", True)


@pytest.mark.parametrize(("code", "status"), [(401, None), (403, "healthy"), (500, None)])
def test_exists__refused_by_another_protocol_than_s3(check: Any, code: int, status: str | None) -> None:
    RemoteStorage.fails["exists"] = Refusal(code)
    if status is None:
        with pytest.raises(Refusal):
            check()
    else:
        assert check()["details"]["exists_test"] == "not permitted"


def test_write__reads_back_and_deletes(check: Any) -> None:
    result = check(write=True)
    assert (result["status"], result["details"]["read_write_test"]) == ("healthy", "passed")
    assert (RemoteStorage.calls, RemoteStorage.objects) == (["exists", "save", "open", "delete"], {})


@pytest.mark.parametrize("method", ["save", "open"])
def test_write__leaves_nothing_where_it_fails(check: Any, method: str) -> None:
    RemoteStorage.fails[method] = ConnectionError()
    with pytest.raises(ConnectionError):
        check(write=True)
    assert RemoteStorage.objects == {}


def test_write__something_else_is_read(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemoteStorage, "_save", lambda self, name, _: self.objects.update({name: b"x"}) or name)
    result = check(write=True)
    assert (result["status"], result["details"]["read_write_test"]) == ("error", "failed")
    assert RemoteStorage.objects == {}


def test_write__object_that_cannot_be_deleted_stays_the_only_one(check: Any) -> None:
    RemoteStorage.fails["delete"] = PermissionError()
    assert check(write=True)["status"] == "error"
    [left] = RemoteStorage.objects
    assert left.startswith(PREFIX)
    result = check(write=True)
    assert (result["status"], left in result["message"]) == ("error", True)
    assert list(RemoteStorage.objects) == [left]
    del RemoteStorage.fails["delete"]
    assert check(write=True)["status"] == "healthy"
    assert RemoteStorage.objects == {}


def test_write__run_that_hangs_deletes_its_object_once_it_ends(settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "media": {"BACKEND": REMOTE}}
    RemoteStorage.held = threading.Event()
    engine = Engine()
    engine.register("storage_media", runnable(StorageCheck(alias="media", write=True)), timeout=0.3)
    result = engine.check("storage_media")
    assert (result["status"], result["error_type"]) == ("error", "TimeoutError")
    assert len(RemoteStorage.objects) == 1
    RemoteStorage.held.set()
    wait_until(lambda: RemoteStorage.objects == {})


def test_write__into_a_folder(check: Any, tmp_path: Path) -> None:
    assert check("tests.django.test_storage.Folder", write=True, location=str(tmp_path))["status"] == "healthy"
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o500)
    if not os.access(tmp_path, os.W_OK):  # root may write everywhere
        with pytest.raises(PermissionError):
            check("tests.django.test_storage.Folder", write=True, location=str(tmp_path))


class Refusing(BaseHTTPRequestHandler):
    """S3 that refuses each request; the word why is in the body, which the answer to a HEAD has none of."""

    code: ClassVar[int]
    word: ClassVar[str]

    def do_HEAD(self) -> None:
        self.send_response(self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        body = f"<Error><Code>{self.word}</Code><Message>hunter3</Message></Error>".encode()
        self.send_response(self.code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a server that refuses."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("word", "status", "test"),
    [
        ("AccessDenied", "healthy", "not permitted"),
        ("InvalidAccessKeyId", "error", "failed"),
        ("SignatureDoesNotMatch", "error", "failed"),
        ("ExpiredToken", "error", "failed"),
        ("<hunter3>", "error", "failed"),
    ],
)
def test_s3__refusal_by_its_reason(
    check: Any, refusing: str, monkeypatch: pytest.MonkeyPatch, word: str, status: str, test: str
) -> None:
    pytest.importorskip("storages.backends.s3")
    monkeypatch.setattr(Refusing, "code", 403, raising=False)
    monkeypatch.setattr(Refusing, "word", word, raising=False)
    result = check(S3, bucket_name="media", endpoint_url=refusing, **KEYS)
    assert (result["status"], result["details"]["exists_test"]) == (status, test)
    assert "hunter" not in str(result)
    if test == "failed" and word.isalpha():
        assert word in result["message"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 with the bucket `media`."""
    with S3Server() as server:
        yield server.url


@pytest.mark.services
@pytest.mark.parametrize("write", [False, True])
def test_s3__of_django_storages(check: Any, s3: str, write: bool) -> None:
    result = check(S3, bucket_name="media", endpoint_url=s3, write=write, **KEYS)
    assert result["status"] == "healthy", result
    assert storages["media"].listdir("") == ([], [])


@pytest.mark.services
def test_s3__bucket_that_is_gone(check: Any, s3: str) -> None:
    result = check(S3, bucket_name="gone", endpoint_url=s3, **KEYS)
    assert (result["status"], result["message"]) == ("error", "The bucket of storage 'media' does not exist")
    assert result["details"]["exists_test"] == "failed"
    with pytest.raises(Exception, match="NoSuchBucket"):
        check(S3, bucket_name="gone", endpoint_url=s3, write=True, **KEYS)


class Bucket(BaseHTTPRequestHandler):
    """S3 that has no object, and that answers so to a question for the bucket."""

    code: ClassVar[int]

    def do_HEAD(self) -> None:
        is_object = "/" in self.path.partition("?")[0].strip("/")
        self.send_response(404 if is_object else self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(("code", "status"), [(200, "healthy"), (403, "healthy"), (404, "error"), (400, None)])
def test_s3__question_for_the_bucket(
    check: Any, monkeypatch: pytest.MonkeyPatch, code: int, status: str | None
) -> None:
    """Credentials that may use objects need not know whether the bucket is there."""
    pytest.importorskip("storages.backends.s3")
    monkeypatch.setattr(Bucket, "code", code, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {"bucket_name": "media", "endpoint_url": f"http://127.0.0.1:{server.server_port}", **KEYS}
        if status is None:
            with pytest.raises(Exception, match="400"):
                check(S3, **options)
        else:
            assert check(S3, **options)["status"] == status
        server.shutdown()


def test_s3__that_is_down(check: Any) -> None:
    pytest.importorskip("storages.backends.s3")
    from botocore.config import Config

    config = Config(connect_timeout=1, retries={"total_max_attempts": 1})
    with pytest.raises(Exception, match="Could not connect"):
        check(S3, bucket_name="media", endpoint_url=f"http://127.0.0.1:{free_port()}", client_config=config, **KEYS)
