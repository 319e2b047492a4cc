"""Checks declared with `lifesigns.check`: when and how engines register them."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine
from lifesigns import checks as declared
from lifesigns.checks import DeclaredCheck, parents_first


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> dict[str, DeclaredCheck]:
    """What was declared, which is nothing at first."""
    nothing: dict[str, DeclaredCheck] = {}
    monkeypatch.setattr(declared, "DECLARED", nothing)
    monkeypatch.setattr(declared, "REFUSED", {})
    return nothing


def test_check__is_registered_with_its_options() -> None:
    @lifesigns.check("billing", critical=False, timeout=2)
    def billing() -> bool:
        return False

    @lifesigns.check("shipping")
    async def shipping() -> str:
        return "all shipped"

    assert billing() is False
    engine = Engine()
    engine.register_declared()
    assert engine.names == ("billing", "shipping")
    report = engine.run()
    assert report["status"] == "degraded"
    assert report["checks"]["shipping"]["message"] == "all shipped"


def test_check__is_registered_by_every_engine_once() -> None:
    lifesigns.check("mine")(lambda: True)
    for engine in (Engine(), Engine()):
        engine.register("mine", lambda: "registered before")
        engine.register_declared()
        engine.register_declared()
        assert engine.names == ("mine",)
        assert engine.check("mine")["message"] == "registered before"


def test_check__parents_are_registered_first() -> None:
    lifesigns.check("child", depends_on=["mother", "father"])(lambda: True)
    lifesigns.check("mother", depends_on="grandmother")(lambda: True)
    lifesigns.check("father")(lambda: False)
    lifesigns.check("grandmother")(lambda: True)
    engine = Engine()
    engine.register_declared()
    assert engine.names == ("grandmother", "mother", "father", "child")
    assert engine.check("child")["blocked_by"] == "father"


def test_check__may_depend_on_a_check_of_the_engine() -> None:
    lifesigns.check("child", depends_on=["database"])(lambda: True)
    engine = Engine()
    with pytest.raises(ValueError, match="database"):
        engine.register_declared()
    engine.register("database", lambda: False)
    engine.register_declared()
    assert engine.check("child")["blocked_by"] == "database"


def test_parents_first__of_a_circle_ends(checks: dict[str, DeclaredCheck]) -> None:
    checks["a"] = DeclaredCheck(bool, {"depends_on": ("b",)})
    checks["b"] = DeclaredCheck(bool, {"depends_on": ("a",)})
    assert parents_first(checks) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("my check", {}, "my check"),
        ("mine", {"timeout": 0}, "timeout"),
        ("mine", {"ttl": -1}, "ttl"),
        ("mine", {"breaker": {"failurs": 1}}, "failures"),
        ("mine", {"critical": "yes"}, "critical"),
        ("mine", {"failures_before_error": 0}, "failures_before_error"),
        ("mine", {"timout": 3}, "no argument 'timout'. Did you mean 'timeout'"),
        ("mine", {"seconds": 3}, "no argument 'seconds'. Known are: critical, scope, timeout, "),
        ("mine", {"depends_on": 7}, "depends_on must be a list of names, not 7"),
    ],
)
def test_check__with_a_wrong_option_is_refused_at_once(
    checks: dict[str, DeclaredCheck], name: str, options: dict[str, object], named: str
) -> None:
    with pytest.raises(lifesigns.DeclarationError, match=named) as raised:
        lifesigns.check(name, **options)(lambda: True)  # type: ignore[arg-type]
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)
    assert raised.value.name == name
    assert not checks
    assert [check.reason for check in declared.REFUSED.values()] == [str(raised.value)] * isinstance(name, str)
    if name == "mine":
        lifesigns.check(name)(lambda: True)
        assert not declared.REFUSED


def test_check__with_the_name_of_another_is_refused() -> None:
    def one() -> None: ...
    def other() -> None: ...

    lifesigns.check("mine")(one)
    lifesigns.check("mine")(one)  # its module was reloaded
    with pytest.raises(ValueError, match=r"two checks are declared as 'mine': .*one and .*other"):
        lifesigns.check("mine")(other)


def test_check__refused_beside_one_of_the_name_leaves_that() -> None:
    lifesigns.check("mine")(lambda: True)
    with pytest.raises(lifesigns.DeclarationError):
        lifesigns.check("mine", timeout=0)(lambda: True)
    with pytest.raises(lifesigns.DeclarationError, match="decorates a function, not a int"):
        lifesigns.check("other")(7)  # type: ignore[type-var]
    assert list(declared.DECLARED) == ["mine"]
    assert list(declared.REFUSED) == ["other"]


def test_check__declaring_starts_nothing() -> None:
    program = """
import sys, threading, lifesigns
lifesigns.check("mine", timeout=1)(lambda: True)
print(threading.active_count(), *sorted({"django", "asyncio", "typing", "dataclasses"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}{program}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.split() == ["1"]


def test_declared__without_a_name() -> None:
    with pytest.raises(ValueError, match=r'takes the name of the check: @lifesigns.check\("billing"\)'):

        @lifesigns.check  # type: ignore[arg-type]
        def billing() -> bool:
            return True


def needs(a: int) -> bool:
    return bool(a)


@pytest.mark.parametrize("check", [needs, partial(needs), lambda a, *, b=1: True])
def test_check__with_a_required_argument_is_refused(check: Any) -> None:
    engine = lifesigns.Engine()
    with pytest.raises(ValueError, match=r"mine: .* takes a required argument 'a'"):
        engine.register("mine", check)
    engine.register("mine", lambda: True)
    with pytest.raises(ValueError, match="takes a required argument 'a'"):
        engine.replace("mine", check)
    with pytest.raises(lifesigns.DeclarationError, match="takes a required argument 'a'"):
        lifesigns.check("mine")(check)


@pytest.mark.parametrize("check", [partial(needs, 1), partial(needs, a=1), list, time.time, lambda a=1: a, print])
def test_check__without_a_required_argument_is_taken(check: Any) -> None:
    lifesigns.Engine().register("mine", check)
