"""What a Python callable may return, raise and refuse to do."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import UserString
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import callables
from tests.services import wait_until


def result_of(check: Callable[[], Any], **options: Any) -> Any:
    engine = lifesigns.Engine()
    engine.register("x", check, **options)
    return engine.check("x")


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        (None, "healthy", ""),
        (True, "healthy", ""),
        (False, "error", "The check returned False"),
        ("degraded", "degraded", ""),
        ("12 invoices wait", "healthy", "12 invoices wait"),
        ("OK", "healthy", "OK"),
        ("errors: 0", "healthy", "errors: 0"),
        ({"status": "skipped"}, "skipped", ""),
        (UserString("12 invoices wait"), "healthy", "12 invoices wait"),
        ({"status": "degraded", "message": UserString("a\udc80b")}, "degraded", "a?b"),
        (
            {"status": "error", "message": "a\x00\x1b[31m\x9bb\r\n\tc\u00e9"},
            "error",
            "a\ufffd\ufffd[31m\ufffdb\r\n\tc\u00e9",
        ),
        ({"status": "error", "message": "no paper", "duration_ms": 3, "timestamp": "x"}, "error", "no paper"),
    ],
)
def test_return_value__means(value: Any, status: str, message: str) -> None:
    result = result_of(lambda: value)
    assert (result["status"], result["message"]) == (status, message)
    assert "error_type" not in result


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (42, "int"),
        ([], "list"),
        (object(), "object"),
        ("unhealthy", "'unhealthy', which is no status: is 'error' meant?"),
        (" ERROR\n", "'ERROR', which is no status: is 'error' meant?"),
        ("Warning", "is 'degraded' meant?"),
        ({}, "without 'status'"),
        ({"status": "ERROR"}, "is 'error' meant?"),
        ({"status": "ok"}, "is 'healthy' meant?"),
        ({"status": "fine"}, "'status'"),
        ({"status": ["healthy"]}, "'status'"),
        ({"status": "healthy", "message": 3}, "'message'"),
        ({"status": "healthy", "details": [1]}, "'details'"),
        ({"status": "healthy", "details": {"x": "y" * 70_000}}, "65536 characters"),
        ({"status": "healthy", "details": {"x": list(range(3_000))}}, "2000 values"),
    ],
)
def test_return_value__that_means_nothing_is_an_error_that_says_what_it_was(value: Any, said: str) -> None:
    result = result_of(lambda: value)
    assert (result["status"], result["error_type"]) == ("error", "TypeError")
    assert said in result["message"]


def test_details__of_any_type_become_plain_data() -> None:
    details = {
        "when": date(2026, 1, 2),
        "sum": Decimal("1.50"),
        "set": {1},
        "nan": float("nan"),
        "big": 2**70,
        3: "\ud800",
    }
    result = result_of(lambda: {"status": "healthy", "details": details})
    assert result["details"] == {
        "when": "2026-01-02", "sum": "1.50", "set": [1], "nan": "nan", "big": hex(2**70), "3": "?",
    }  # fmt: skip


def test_details__that_contain_themselves_are_an_error() -> None:
    details: dict[str, Any] = {}
    details["self"] = details
    assert result_of(lambda: {"status": "healthy", "details": details})["error_type"] == "TypeError"


def test_details__of_100_mb_are_not_copied() -> None:
    details = {str(index): "x" * 1_000_000 for index in range(100)}
    assert result_of(lambda: {"status": "healthy", "details": details})["error_type"] == "TypeError"


def test_message__of_any_characters_is_shown() -> None:
    result = result_of(lambda: {"status": "degraded", "message": "lone \ud800"})
    assert result["status"] == "degraded"
    assert result["message"].startswith("lone ")
    result["message"].encode()


def raise_secret() -> None:
    raise ValueError("password=hunter2")


def test_exception__shows_its_class_and_place_but_not_its_text() -> None:
    result = result_of(raise_secret)
    assert (result["status"], result["error_type"]) == ("error", "ValueError")
    assert "test_callables.py" in result["message"]
    assert "raise_secret" in result["message"]
    assert "hunter2" not in str(result)


def recurse() -> None:
    recurse()


@pytest.mark.parametrize(("check", "error_type"), [(recurse, "RecursionError"), (lambda: 1 / 0, "ZeroDivisionError")])
def test_exception__of_any_kind_is_the_result_and_the_next_run_works(check: Callable[[], Any], error_type: str) -> None:
    engine = lifesigns.Engine()
    engine.register("x", check)
    engine.register("y", lambda: None)
    for _ in range(3):
        report = engine.run(refresh=True)
        assert report["checks"]["x"]["error_type"] == error_type
        assert report["checks"]["y"]["status"] == "healthy"


def callable_threads() -> int:
    return sum(thread.name == "lifesigns-callable" for thread in threading.enumerate())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_system_exit__ends_its_thread_and_the_next_run_finds_another() -> None:
    ended: list[threading.Thread] = []

    def leave() -> None:
        ended.append(threading.current_thread())
        sys.exit(3)

    engine = lifesigns.Engine()
    engine.register("x", leave)
    engine.register("y", lambda: None)
    for _ in range(5):
        report = engine.run(refresh=True)
        assert report["checks"]["x"]["error_type"] == "SystemExit"
        assert report["checks"]["y"]["status"] == "healthy"
    for thread in ended:
        thread.join(10)
        assert not thread.is_alive()


def test_overrun__holds_one_thread_and_is_not_started_again() -> None:
    release = threading.Event()
    runs = []

    def hangs() -> None:
        runs.append(1)
        release.wait(60)

    engine = lifesigns.Engine()
    engine.register("hangs", hangs, timeout=0.1)
    engine.register("fine", lambda: None)
    assert engine.check("hangs")["error_type"] == "TimeoutError"
    threads = callable_threads()
    for _ in range(5):
        report = engine.run(refresh=True)
        assert report["checks"]["hangs"]["error_type"] == "StillRunningError"
        assert "Still running for" in report["checks"]["hangs"]["message"]
        assert report["checks"]["fine"]["status"] == "healthy"
    assert len(runs) == 1
    assert callable_threads() <= threads + 1
    release.set()
    wait_until(lambda: engine.check("hangs", refresh=True)["status"] == "healthy")
    assert len(runs) == 2


def test_threads__are_no_more_than_the_callables() -> None:
    before = callable_threads()
    engine = lifesigns.Engine()
    for index in range(5):
        engine.register(str(index), lambda: None)
    for _ in range(50):
        engine.run(refresh=True)
    assert callable_threads() <= max(before, 5)


def test_callables__that_wait_run_in_parallel() -> None:
    together = threading.Barrier(10)
    engine = lifesigns.Engine()
    for index in range(10):
        engine.register(str(index), lambda: together.wait(10) >= 0)
    for _ in range(20):
        assert engine.run(refresh=True)["status"] == "healthy"


def test_callables__that_block_for_once_delay_no_others() -> None:
    engine, blocked, let_go = lifesigns.Engine(), threading.Event(), threading.Event()

    def first() -> None:
        if blocked.is_set():
            let_go.wait(10)

    engine.register("first", first)
    engine.register("second", lambda: None)
    for _ in range(20):
        engine.run(refresh=True)
    blocked.set()
    checks = engine.run(refresh=True, deadline=0.5)["checks"]
    let_go.set()
    assert checks["second"]["cached"] is False
    assert checks["first"]["cached"] is True, "what was known before"


def test_callable__of_an_engine_that_is_gone_is_not_run() -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: None)
    callables.forget(engine._callables.ids.values())
    for _ in range(2):
        result = engine.check("x")
        assert (result["error_type"], result["cached"]) == ("WithdrawnError", False)


def test_async__callable_is_awaited() -> None:
    async def check() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"status": "degraded", "message": "slow"}

    result = result_of(check)
    assert (result["status"], result["message"]) == ("degraded", "slow")


def test_async__callable_is_cancelled_at_its_deadline() -> None:
    cancelled = threading.Event()

    async def check() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    result = result_of(check, timeout=0.1)
    assert (result["error_type"], result["timeout_seconds"]) == ("TimeoutError", 0.1)
    assert cancelled.wait(10)


def stated(error: Exception) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def test_check_failed__is_an_error_with_its_text_redacted_and_details() -> None:
    error = lifesigns.CheckFailed("no paper, password=hunter2", {"tray": 2, "token": "abcdefgh"})
    result = result_of(stated(error))
    assert (result["status"], result["error_type"]) == ("error", "CheckFailed")
    assert result["message"] == "no paper, password=***"
    assert result["details"] == {"tray": 2, "token": "***"}


def test_check_degraded__is_degraded_with_its_text() -> None:
    result = result_of(stated(lifesigns.CheckDegraded("paper is low")))
    assert (result["status"], result["message"]) == ("degraded", "paper is low")
    assert "error_type" not in result


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "Traceback" in record.getMessage()]


def test_traceback__is_logged_redacted_once_for_each_change(caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception | None] = [ValueError("password=hunter2")] * 3

    def check() -> None:
        error = errors.pop(0)
        if error is not None:
            raise error

    engine = lifesigns.Engine()
    engine.register("paper", check)
    for _ in range(3):
        engine.check("paper", refresh=True)
    [logged] = tracebacks(caplog)
    assert logged.startswith("paper raised ValueError\n")
    assert "in check" in logged
    assert "password=***" in logged
    assert "hunter2" not in caplog.text
    [record] = [record for record in caplog.records if "Traceback" in record.getMessage()]
    assert (record.name, vars(record)["check_name"]) == ("lifesigns.checks", "paper")
    # Another class is a change, and so is the same one after a success.
    for error in (KeyError("x"), None, KeyError("x"), KeyError("x")):
        errors.append(error)
        engine.check("paper", refresh=True)
    assert len(tracebacks(caplog)) == 3


def test_traceback__of_what_a_check_states_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    result_of(stated(lifesigns.CheckFailed("no paper")))
    result_of(stated(lifesigns.CheckDegraded("no paper")))
    assert tracebacks(caplog) == []


def test_traceback__that_cannot_be_made_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert result_of(stated(UnprintableError()))["error_type"] == "UnprintableError"
    assert any("UnprintableError" in record.getMessage() for record in caplog.records)


def test_imports__are_made_at_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole_package").mkdir()
    (tmp_path / "whole_package/__init__.py").write_text("import threading\nthread = threading.current_thread()\n")
    monkeypatch.syspath_prepend(tmp_path)
    engine = lifesigns.Engine()
    engine.register("x", lambda: None, imports=["whole_package"])
    assert sys.modules["whole_package"].thread is threading.current_thread()
    with pytest.raises(ValueError, match="imports"):
        engine.register("y", lambda: None, imports="whole_package")


def test_imports__that_fail_are_logged_and_left_to_the_check(caplog: pytest.LogCaptureFixture) -> None:
    engine = lifesigns.Engine()
    engine.register("x", lambda: None, imports=["no_such_package"])
    assert "x: cannot import no_such_package (ModuleNotFoundError)" in caplog.messages
    assert engine.check("x")["status"] == "healthy"


def test_run__that_another_import_has_spoilt_is_run_once_more() -> None:
    runs: list[int] = []

    def check() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ImportError("cannot import name 'x' from partially initialized module 'y'")

    assert result_of(check)["status"] == "healthy"
    assert len(runs) == 2


def test_run__that_fails_by_its_own_import_is_not_repeated_each_time() -> None:
    runs: list[int] = []

    def check() -> None:
        runs.append(1)
        raise ImportError("the library is too old")

    engine = lifesigns.Engine()
    engine.register("x", check)
    for _ in range(4):
        assert engine.check("x", refresh=True)["error_type"] == "ImportError"
    assert len(runs) == 5


def test_identity__of_a_partial_differs_with_its_arguments() -> None:
    class Client:
        """Shown by its address."""

    def check(given: object = None) -> None:
        """Take what it is given."""

    one, two = (partial(check, number) for number in (1, 2))
    assert callables.identity(one) == callables.identity(partial(check, 1))
    assert len({callables.identity(function) for function in (one, two, check)}) == 3
    assert callables.identity(partial(check, Client())) == callables.identity(partial(check, Client()))


def test_return_value__of_an_enum_is_the_text_that_it_is() -> None:
    class Status(str, Enum):
        BAD = "error"

    engine = lifesigns.Engine()
    engine.register("enum", lambda: Status.BAD)
    assert engine.run()["checks"]["enum"]["status"] == "error"
