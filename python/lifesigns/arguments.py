"""Arguments of an engine as its native part takes them; a wrong one is a `ValueError` that names it."""

from __future__ import annotations

import os

from lifesigns import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike
    from typing import Any

    from lifesigns.specs import Breaker


SHARES = ("process", "host", "fleet")


def store_file(share: str, application: str | None, store_path: str | PathLike[str] | None) -> str | None:
    """Return the file that processes share; None if they do not."""
    if share not in SHARES:
        raise ValueError(f"share must be 'process', 'host' or 'fleet', not {share!r}")
    if application is None:
        if share == "process":
            return None
        from lifesigns.identity import default_application  # imports modules that `python -m lifesigns` does without

        application = default_application()
    plain = application.replace("_", "").replace("-", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(application) <= 100):
        raise ValueError(f"application must be 1 to 100 letters, digits, '_', '-' or '.', not {application!r}")
    if share == "process":
        return None
    return os.path.join(store_path or _core.default_store(), f"{application}{_core.STORE_SUFFIX}")


def register_options(
    name: str,
    *,
    critical: bool = True,
    scope: str | None = None,
    timeout: float | None = None,
    ttl: float | None = None,
    ready_max_age: float | None = None,
    breaker: Breaker | Mapping[str, Any] | None = None,
    depends_on: Iterable[str] = (),
    failures_before_error: int = 1,
    successes_before_healthy: int = 1,
    alert: Mapping[str, Any] | None = None,
    runbook: str | None = None,
    server: str | None = None,
) -> dict[str, Any]:
    """Return the options of `Engine.register` as the native engine takes them."""
    if not isinstance(critical, bool):  # any string would count as true, "no" too
        raise ValueError(f"{name}: critical must be True or False, not a {type(critical).__name__}")
    if not isinstance(server, (str, type(None))):
        raise ValueError(f"{name}: server must be a string, not a {type(server).__name__}")
    if scope not in (None, *SHARES):
        raise ValueError(f"{name}: scope must be 'process', 'host' or 'fleet', not {scope!r}")
    if alert is not None and not hasattr(alert, "keys"):
        raise ValueError(f"{name}: alert must be a dict, not {type(alert).__name__}")
    return {
        "critical": critical,
        "scope": scope,
        "timeout": timeout,
        "ttl": ttl,
        "ready_max_age": ready_max_age,
        "breaker": plain_spec(breaker),
        "depends_on": list_of_names("depends_on", depends_on),
        "failures_before_error": failures_before_error,
        "successes_before_healthy": successes_before_healthy,
        "alert": None if alert is None else dict(alert),
        "runbook": runbook,
        "server": _without_credentials(server),
    }


def list_of_names(what: str, names: Iterable[str]) -> list[str]:
    """Return a list of names; a string would be taken for a list of letters."""
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ValueError(f"{what} must be a list of names, not {names!r}")
    return list(names)


def list_of_strings(what: str, values: Iterable[str]) -> list[str]:
    """Return a list of strings; one string would be taken for a list of letters."""
    if isinstance(values, str):
        raise ValueError(f"{what} must be a list of strings, not one string")
    return list(values)


def _without_credentials(server: str | None) -> str | None:
    if not server:
        return None
    from lifesigns.redaction import redact

    return redact(server)


def hide_secrets(spec: dict[str, Any]) -> None:
    """Keep the secrets of a target out of what callables return, which may quote an error of its client."""
    from lifesigns.redaction import hide, secrets_in

    hide(secrets_in(spec))


def not_a_check(name: str, value: object) -> ValueError:
    """Return what to raise for a check of another type."""
    return ValueError(f"{name}: a check is a spec, a dict with a 'kind', or a callable, not {type(value).__name__}")


def refuse_arguments(name: str, function: Any) -> None:
    """Refuse a callable that cannot be called without arguments; one whose signature is unknown may."""
    wrong = wrong_argument(function)
    if wrong is not None:
        raise ValueError(f"{name}: {callable_name(function)} {wrong}")


def wrong_argument(function: Any) -> str | None:
    """Return what keeps a callable from being called, as "takes ...": an argument that it must be given, or one that
    `functools.partial` gives it and it does not have. None where it can be called, and where it does not tell.
    """
    import inspect  # `python -m lifesigns` does without it
    from functools import partial

    kind = inspect.Parameter
    try:
        if isinstance(function, partial):
            known = inspect.signature(function.func).parameters.values()
            by_name = [
                parameter.name
                for parameter in known
                if parameter.kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY)
            ]
            takes_any = any(parameter.kind is kind.VAR_KEYWORD for parameter in known)
            unknown = [] if takes_any else [name for name in function.keywords if name not in by_name]
            if unknown:
                known_ones = f" (it takes {', '.join(by_name)})" if by_name else ""
                return f"takes no argument {unknown[0]!r}{known_ones}"
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of builtins, or of an object that pretends to have one
        return None
    optional = (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
    for parameter in parameters:
        if parameter.default is kind.empty and parameter.kind not in optional:
            return f"takes a required argument {parameter.name!r}"
    return None


def callable_name(function: Any) -> str:
    """Return how a callable is called in its source."""
    inner = unwrapped(function)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def plain_spec(value: Any) -> Any:
    """Return a spec as a dict, and anything else as it is."""
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None:
        return to_dict()
    return dict(value) if hasattr(value, "keys") else value


def refuse_scope(name: str, scope: str, action: str | None) -> None:
    """Raise ValueError if an action of the fleet is about a check whose result is not the fleet's."""
    if action is not None and scope != "fleet":
        raise ValueError(
            f"register({name!r}): its scope must be 'fleet', since the action {action!r} is the fleet's; or let the "
            "scope of that be 'host'"
        )


def unwrapped(function: Any) -> Any:
    """Return the function inside of `functools.partial` objects."""
    while hasattr(function, "func"):
        function = function.func
    return function


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest of the known names, None if none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for the nearest of the known names; empty if none is near."""
    nearest = nearest_name(name, known)
    return f"Did you mean {nearest!r}?" if nearest else ""
