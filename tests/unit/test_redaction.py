"""What is taken out of text that others wrote."""

from __future__ import annotations

import html
import json
import time
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from lifesigns import Engine
from lifesigns.redaction import hide, is_secret, redact, secrets_in
from lifesigns.specs import Http, Postgres, PostgresServer, Redis

SECRET_NAMES = """
PASSWORD EMAIL_HOST_PASSWORD SECRET_KEY SECRET_KEY_FALLBACKS GOOGLE_MAP_SECRET_KEY STRIPE_API_KEYS TOKENS
api_key password client_secret db_pass x-api-key Authorization key
"""
# Each of these, over and over, is what one of the patterns finds hardest.
HOSTILE = ["a", "a.", "://", "://:", "'", "$$", "1", "select ", "update ", "password=", "password='", "eyJ.", "?key="]
HOSTILE += ["failing row contains (", "invalid input value for ", "incorrect value: ", "duplicate entry ", 'value "']
HOSTILE += [
    "right syntax to use near ",
    "at or near \"'",
    "key (a)=(",
    "-----BEGIN PRIVATE KEY-----",
    "bearer ",
    "://a:",
]


pytestmark = pytest.mark.usefixtures("nothing_hidden")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Credentials in URLs.
        ("no answer from redis://:s3cr3t@host:6379/0", "no answer from redis://***@host:6379/0"),
        ("postgresql://app:s3cr3t@db/app?sslmode=require", "postgresql://***@db/app?sslmode=require"),
        ("amqp://app:s3/cr@3t@mq:5672//", "amqp://***@mq:5672//"),
        ("https://s3cr3t@host/", "https://***@host/"),
        ("cannot reach 'admin:s3cr3t@ns1.example.org'", "cannot reach '***@ns1.example.org'"),
        ("app:s3c:r3t@[::1]:5432 and 12:30:45 by a@example.org", "***@[::1]:5432 and 12:30:45 by a@example.org"),
        ("https://host/maps?key=s3cr3t&q=1", "https://host/maps?key=***&q=1"),
        ("https://host/x?a=1&api_key=s3cr3t", "https://host/x?a=1&api_key=***"),
        # Keys and values.
        ("host=db user=app password=s3cr3t dbname=app", "host=db user=app password=*** dbname=app"),
        ("host=db password='s3 cr3t' dbname=app", "host=db password=*** dbname=app"),
        ("{'PASSWORD': 's3cr3t', 'HOST': 'db'}", "{'PASSWORD': ***, 'HOST': 'db'}"),
        ('{"api_key": "s3cr3t", "n": 1}', '{"api_key": ***, "n": 1}'),
        ("DB_PASSWORD=s3cr3t", "DB_PASSWORD=***"),
        ("x-api-key: s3cr3t", "x-api-key: ***"),
        ("AWS_SECRET_ACCESS_KEY=s3cr3t", "AWS_SECRET_ACCESS_KEY=***"),
        # Tokens.
        ("Authorization: Bearer s3cr3t.s3cr3t", "Authorization: ***"),
        ("Authorization: Basic czNjcjN0", "Authorization: ***"),
        ("sent bearer s3cr3t.s3cr3t", "sent bearer ***"),
        ("key sk-proj-s3cr3ts3cr3ts3cr3t is wrong", "key *** is wrong"),
        ("key AIzas3cr3ts3cr3ts3cr3ts3cr3ts3cr3ts3cr3 is wrong", "key *** is wrong"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.s3cr3t", "***"),
        ("Cookie: sessionid=s3cr3t; csrf=s3cr3t\nHost: a", "Cookie: ***\nHost: a"),
        ("set-cookie: id=s3cr3t; Secure", "set-cookie: ***"),
        ("AccountName=shop;AccountKey=s3cr3t/s3cr3t==;", "AccountName=shop;AccountKey=***;"),
        ("https://hooks.slack.com/services/T01/B01/s3cr3ts3cr3t said no", "https://hooks.slack.com/*** said no"),
        ("token xoxb-123456789012-s3cr3ts3cr3t is revoked", "token *** is revoked"),
        ("signed by whsec_s3cr3ts3cr3ts3cr3t+/s3cr3t=", "signed by ***"),
        ("glpat-s3cr3ts3cr3ts3cr3t and github_pat_s3cr3ts3cr3ts3cr3ts3cr3t", "*** and ***"),
        ("the cookie is fresh", "the cookie is fresh"),
        ("-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\n-----END RSA PRIVATE KEY-----", "***-----END RSA PRIVATE KEY-----"),
        # Literals of SQL.
        ("SELECT * FROM users WHERE name = 's3''cr3t' AND id = 4711", "SELECT * FROM users WHERE name = ? AND id = ?"),
        ("INSERT INTO users VALUES ('s3cr3t', $$s3cr3t$$, $a$s3cr3t$a$)", "INSERT INTO users VALUES (?, ?, ?)"),
        ("LINE 1: ...WHERE name = 's3cr3t'", "LINE ?: ...WHERE name = ?"),
        ("DETAIL:  Key (name)=(s3cr3t) already exists.", "DETAIL:  Key (name)=(?) already exists."),
        ("ALTER ROLE app PASSWORD 's3cr3t'", "ALTER ROLE app PASSWORD ?"),
        # Values that databases quote in their errors.
        ("Failing row contains (7, s3cr3t, (s3cr3t)).", "Failing row contains (?)."),
        ('invalid input syntax for type integer: "s3c"r3t"\nmore', "invalid input syntax for type integer: ?\nmore"),
        ('invalid input value for enum mood: "s3cr3t"', "invalid input value for enum mood: ?"),
        ('malformed array literal: "s3cr3t"', "malformed array literal: ?"),
        ("quoted string at or near \"'s3cr3t\"\nLINE 1: 's3cr3t", 'quoted string at or near "?"\nLINE ?: ?'),
        ('value "4711" is out of range for type integer', "value ? is out of range for type integer"),
        ('date/time field value out of range: "s3cr3t"', "date/time field value out of range: ?"),
        ("(1062, \"Duplicate entry 's3cr3t' for key 'name'\")", "(1062, \"Duplicate entry ? for key 'name'\")"),
        ("Incorrect integer value: 's3cr3t' for column `x`.`y`", "Incorrect integer value: ?"),
        ("the right syntax to use near 's3cr3t' at line 1", "the right syntax to use near ? at line 1"),
        # Nothing of the kind.
        ("3 of 4 workers are alive, 'default' waits", "3 of 4 workers are alive, 'default' waits"),
        ("7 tokens left; key rotation took 3 s", "7 tokens left; key rotation took 3 s"),
        ("https://host:8000/path?page=2", "https://host:8000/path?page=2"),
        ("select2 reads and writes", "select2 reads and writes"),
        ("", ""),
    ],
)
def test_redact__table(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(redact(text)) == redact(text)


def test_hide__also_in_text_that_was_looked_at_before() -> None:
    assert redact("says gr3en-bottle") == "says gr3en-bottle"
    hide(["gr3en-bottle"])
    assert redact("says gr3en-bottle") == "says ***"


def test_hide__in_every_form() -> None:
    hide(["s3cr3t-1 word/s", "s3cr3t-1", "abc", "b\nc's3cr3t"])
    text = "s3cr3t-1 word/s s3cr3t-1%20word/s s3cr3t-1%20word%2Fs s3cr3t-1 <b\\nc's3cr3t> abc"
    assert redact(text) == "*** *** *** *** <***> abc"
    hide(["another-one"])
    assert redact("another-one s3cr3t-1") == "*** ***"


ODD = "s3cr3t-\"q\\b\\\\r&d é/+<€\n'😀=h8k2"


@pytest.mark.parametrize(
    "form",
    [
        ODD,
        json.dumps(ODD),
        json.dumps(ODD, ensure_ascii=False),
        json.dumps(ODD).replace("&", "\\u0026").replace("<", "\\u003C").replace("/", "\\/"),
        json.dumps(json.dumps({"key": ODD})),
        repr(ODD),
        ascii(ODD),
        repr(ODD.encode()),
        repr([json.dumps(ODD)]),
        quote(ODD),
        quote(ODD, safe=""),
        quote(ODD).lower(),
        quote(quote(ODD)),
        quote_plus(ODD),
        html.escape(ODD),
    ],
)
def test_hide__in_the_form_of_each_encoder(form: str) -> None:
    hide([ODD])
    assert "s3cr3t" not in redact(f"<{form}>")
    assert "h8k2" not in redact(f"<{form}>")


@pytest.mark.parametrize("secret", [ODD, "letters only", "lettersonly", "s3cr3t-1"])
@pytest.mark.parametrize("before", ["", "u:", "us:", "use:", "\0user\0"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_hide__in_base64_whatever_stands_beside_it(secret: str, before: str, after: str, encode: Any) -> None:
    hide([secret])
    encoded = encode(f"{before}{secret}{after}".encode()).decode()
    assert redact(f"sent {encoded}, refused") == "sent ***, refused"
    assert redact(f"sent {encoded.rstrip('=')}") == "sent ***"
    assert redact(f"sent {encode(b'nothing of the kind').decode()}").startswith("sent b")


def test_hide__bytes_that_are_no_text() -> None:
    hide(["s3cr3t-\udcff-h8k2"])
    assert redact("s3cr3t-\udcff-h8k2") == "***"


@pytest.mark.parametrize("piece", [*HOSTILE, "\\", "\\x", "%25", "&#000", "s3cr3t", "QUJDREVG"])
def test_hide__hostile_text_takes_its_length(piece: str) -> None:
    hide([ODD, "\\" * 40 + "x", *(f"s3cr3t-{number}-of-many" for number in range(40))])
    text = piece * (65_000 // len(piece))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5


def test_hide__words_only_where_they_are_whole() -> None:
    hide(["django", "postgres", "gunicorn", "b4ckends"])
    assert redact("django.core.cache on postgresql") == "django.core.cache on postgresql"
    assert redact("xb4ckendsx (gunicorn) says postgres: no") == "x***x (***) says ***: no"


def test_hide__of_a_source_replaces_what_came_from_there() -> None:
    hide(["first-of-source"], source="test")
    hide(["kept-all-along"])
    hide(["second-of-source"], source="test")
    assert redact("first-of-source second-of-source kept-all-along") == "first-of-source *** ***"
    hide([], source="test")
    assert redact("second-of-source") == "second-of-source"


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_is_secret__by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["HOST", "passed", "compass", "AUTH_USER_MODEL", "monkey", "KEY_PREFIX", "keys_read"])
def test_is_secret__not(name: str) -> None:
    assert not is_secret(name)


def test_secrets_in__settings() -> None:
    settings = {
        "DATABASES": {"default": {"USER": "app", "PASSWORD": "one", "HOST": "db"}},
        "CACHES": {"default": {"LOCATION": ["redis://:tw%20o@host", "redis://host"]}},
        "TOKENS": ["three", "four"],
        "NESTED": [{"a": ({"api_key": "five"},)}],
    }
    assert set(secrets_in(settings)) == {"one", "tw%20o", "tw o", "three", "four", "five"}
    endless: dict[str, Any] = {}
    endless["more"] = endless
    assert list(secrets_in(endless)) == []


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("start", ["", "select x from "])
def test_redact__hostile_text_takes_its_length(start: str, piece: str) -> None:
    text = start + piece * (65_000 // len(piece))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("spec", "quoted"),
    [
        (Redis(url="redis://:s3cr3t-1@127.0.0.1:1/0"), "AUTH s3cr3t-1 failed"),
        (Postgres(server=PostgresServer(host="127.0.0.1", port=1, password="s3cr3t-2")), "FATAL: s3cr3t-2"),
        (Http(url="http://127.0.0.1:1/", headers={"x-api-key": "s3cr3t-3"}), "got s3cr3t-3"),
        (
            {"kind": "smtp", "host": "127.0.0.1", "security": "none", "username": "u", "password": "s3cr3t-4"},
            "s3cr3t-4",
        ),
    ],
)
def test_engine__callables_do_not_show_secrets_of_targets(spec: Any, quoted: str) -> None:
    engine = Engine()
    engine.register("target", spec)
    engine.register("mine", lambda: {"status": "error", "message": quoted, "details": {quoted: [quoted]}})
    result = engine.check("mine")
    assert "s3cr3t" not in str(result)
    assert "***" in result["message"]


def test_engine__details_are_masked_by_their_names() -> None:
    engine = Engine()
    details = {"password": "s3cr3t", "nested": [{"api_key": b"s3cr3t"}], "authentication": "passed", "token": 7}
    engine.register("mine", lambda: {"status": "healthy", "details": details})
    shown = engine.check("mine")["details"]
    assert shown == {"password": "***", "nested": [{"api_key": "***"}], "authentication": "passed", "token": 7}


def test_engine__secret_across_the_end_of_a_message() -> None:
    hide(["s3cr3t-that-is-long"])
    engine = Engine()
    engine.register("mine", lambda: "x" * 990 + "s3cr3t-that-is-long")
    engine.register("other", lambda: "x" * 990 + " password=s3cr3t-that-is-long")
    report = engine.run()
    assert "s3c" not in str(report)
