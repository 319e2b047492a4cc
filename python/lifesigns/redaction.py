"""Removes secrets from text that others wrote: what callables return, before the engine sees it.

The engine itself does so with the output of commands, and knows the same secrets.

Everything else that Lifesigns shows is made from its own words and from configured names that are no secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote

from lifesigns import _core
from lifesigns.secret_forms import mask_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASK = "***"
# Shorter ones would be found in every second word: the password `django` in `django.core.cache`.
SHORTEST = 8
# Longer texts are searched anew each time, so that the cache of the others stays small.
SHORT = 200
DEPTH = 8

_WORDS = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|credential|authorization|signature"
    r"|(?:api|access|account|private|auth|signing|encryption)[_-]?key"
)
# What stands under such a name is a secret: the name of a setting, of a field, of a value in details.
_SECRET_NAME = re.compile(rf"(?:{_WORDS}|(?:^|[_-])pass|^key|secret[_-]?key(?:_fallback)?)s?$", re.IGNORECASE)
# Up to the last @, since a password may hold one that was not encoded.
_USER_INFO = re.compile(r"(?<=://)(?:[^\s'\"<>/:@]{0,256}:[^\s'\"<>]{0,512}@|[^\s'\"<>/@]{0,512}@)")
# The same without a scheme: `user:password@host`.
_LOGIN = re.compile(r"(?<![\w.%+:/@-])[\w.%+-]{1,128}:[^\s'\"<>/@,]{1,256}@(?=[\w\[])")
# Every repetition is bounded: the time it takes grows with the length of the text, and no faster.
_PATTERNS = (
    (_USER_INFO, f"{MASK}@"),
    (_LOGIN, f"{MASK}@"),
    (re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,8192}"), MASK),
    (
        re.compile(
            rf"((?:{_WORDS})\w{{0,20}}[\"']?\s{{0,3}}[=:]\s{{0,3}})(?!did you mean )"
            r"(?:\"[^\"]{0,1024}\"?|'[^']{0,1024}'?|(?:(?:bearer|basic|token|digest)\s{1,3})?[^\s,;&)}\]'\"]{1,1024})",
            re.IGNORECASE,
        ),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"([?&;]\w{0,20}(?:key|sig|auth|code)=)[^\s&;'\"]{1,1024}", re.IGNORECASE), rf"\g<1>{MASK}"),
    (re.compile(r"\b(bearer\s{1,3})[\w.~+/=-]{8,1024}", re.IGNORECASE), rf"\g<1>{MASK}"),
    (re.compile(r"(\bcookie:\s{1,3})[^\n]{1,8192}", re.IGNORECASE), rf"\g<1>{MASK}"),
    # Whoever knows such an address may post there.
    (re.compile(r"(\bhooks\.slack\.com/)[\w/-]{1,256}", re.IGNORECASE), rf"\g<1>{MASK}"),
    # Keys that are known by their looks: OpenAI, Anthropic, Stripe; Google; AWS; GitHub and GitLab; Slack; of signed
    # webhooks; JSON web tokens.
    (
        re.compile(
            r"\b(?:[sprk]k[-_][\w-]{16,256}|AIza[\w-]{30,64}|A[KS]IA[A-Z0-9]{12,32}|gh[pousr]_\w{20,256}"
            r"|github_pat_\w{20,256}|glpat-[\w-]{16,256}|xox[a-z]-[\w-]{10,256}|whsec_[\w+/=]{16,256}"
            r"|eyJ[\w-]{8,1024}\.[\w-]{1,2048}\.[\w-]{0,1024})"
        ),
        MASK,
    ),
    # The values that PostgreSQL and MySQL quote in their errors; nothing after those is of use either.
    (re.compile(r"(\bfailing row contains \().{0,8192}(?=\))", re.IGNORECASE | re.DOTALL), r"\g<1>?"),
    (
        re.compile(
            r"(\b(?:invalid input (?:syntax|value) for [^\n:]{1,100}|malformed \w{1,20} literal"
            r"|field value out of range|incorrect [\w ]{1,40} value): ).{1,4096}",
            re.IGNORECASE,
        ),
        r"\g<1>?",
    ),
    (re.compile(r"(\bduplicate entry ).{1,4096}(?= for key )", re.IGNORECASE), r"\g<1>?"),
    (re.compile(r"(\bvalue )\"[^\n]{0,4096}(?= is out of range for type )", re.IGNORECASE), r"\g<1>?"),
    (re.compile(r"(\bat or near \")'[^\n]{0,4096}", re.IGNORECASE), r'\g<1>?"'),
    (re.compile(r"(\bright syntax to use near ).{0,4096}(?= at line \d)", re.IGNORECASE | re.DOTALL), r"\g<1>?"),
)
_SQL = re.compile(
    r"\bselect\b.{1,500}?\bfrom\b|\binsert\s{1,9}into\b|\bupdate\s{1,9}\S{1,200}\s{1,9}set\b|\bdelete\s{1,9}from\b"
    r"|\b(?:alter|create)\s{1,9}(?:role|user)\b|\bline \d{1,9}:|\bkey \([^)]{1,200}\)=\(",
    re.IGNORECASE | re.DOTALL,
)
_LITERAL = re.compile(
    r"'(?:[^']|''){0,4096}'?|\$(\w{0,20})\$.{0,4096}?\$\1\$|(?<=\)=\().{0,1024}?(?=\))|(?<![\w$.])\d{1,40}(?:\.\d{1,40})?\b",
    re.DOTALL,
)

_hidden: frozenset[str] = frozenset()
_by_source: dict[str, frozenset[str]] = {}


def redact(text: str) -> str:
    """Return the text without credentials in URLs, passwords, keys, tokens, SQL literals, and what `hide` was given."""
    # Most checks return the same text each time.
    return _redacted_before(text, _hidden) if len(text) <= SHORT else _redacted(text, _hidden)


def _redacted(text: str, hidden: frozenset[str]) -> str:
    if hidden:
        text = mask_secrets(text, hidden, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _LITERAL.sub("?", text) if _SQL.search(text) else text


_redacted_before = lru_cache(1_024)(_redacted)


def is_secret(name: str) -> bool:
    """Return whether a value of this name is a secret, as far as its name shows."""
    return _SECRET_NAME.search(name) is not None


def hide(secrets: Iterable[str], source: str = "") -> None:
    """Have `redact`, and the engine in the output of commands, remove these, in whatever form: see `secret_forms`.

    Those of less than 8 characters look like words, and stay.
    Those that consist of letters alone are removed only where they are whole words, others wherever they are.

    Args:
        secrets: added to those that are hidden already.
        source: where they come from; not empty: they replace those that came from there before.
    """
    global _hidden
    whole = frozenset(secret for secret in secrets if len(secret) >= SHORTEST)
    _by_source[source] = whole if source else _by_source.get("", frozenset()) | whole
    _hidden = frozenset().union(*_by_source.values())
    _core.hide([_as_written(secret) for secret in _hidden])


def _as_written(secret: str) -> bytes:
    try:
        return os.fsencode(secret)
    except UnicodeEncodeError:
        return secret.encode("utf-8", "surrogatepass")


def secrets_in(value: Any, name: str = "", depth: int = DEPTH) -> Iterator[str]:
    """Yield the secrets in settings or a specification: by the names of the values, and in URLs."""
    if depth == 0:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_in(item, str(key), depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from secrets_in(item, name, depth - 1)
    elif isinstance(value, str):
        if is_secret(name):
            yield value
        for found in _USER_INFO.findall(value):
            password = found[:-1].partition(":")[2]
            yield from (password, unquote(password))
