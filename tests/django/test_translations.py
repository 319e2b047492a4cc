"""What users see goes through gettext: shown in a language in which each text stands in guillemets."""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, load_command_class
from django.test import Client
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import trans_real

import django_lifesigns
from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.models import AlertThreshold
from tests.django.incidents import incident, silence

PACKAGE = Path(django_lifesigns.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
COMMANDS = sorted(path.stem for path in (PACKAGE / "management/commands").glob("[a-z]*.py"))
FUNCTIONS = {"_", "lazy", "gettext", "gettext_lazy", "ngettext"}
# Where a plain text would be shown as it is.
KEYWORDS = {"help", "description", "empty_value"}
ATTRIBUTES = {"help", "verbose_name", "verbose_name_plural", "search_help_text", "title", "short_description"}
CALLS = {"CommandError", "ValidationError"}
# The name of the product is the same in every language.
NAME = "Lifesigns"


def is_plain(node: ast.expr | None) -> bool:
    """Whether this is a text with words in it, as it stands."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value != NAME and re.search("[a-z]{2}", node.value) is not None
    return isinstance(node, ast.JoinedStr) and any(is_plain(part) for part in node.values)


def plain_texts(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            is_output = name == "write" and ast.unparse(node.func).endswith(("stdout.write", "stderr.write"))
            first = node.args[0] if node.args else None
            if (name in CALLS or is_output) and is_plain(first):
                yield node
            yield from (word.value for word in node.keywords if word.arg in KEYWORDS and is_plain(word.value))
        elif isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and is_plain(statement.value):
                    names = {getattr(target, "id", "") for target in statement.targets}
                    if names & ATTRIBUTES:
                        yield statement


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("class C:\n    help = 'some text'", 1),
        ("parser.add_argument('x', help='some text')", 1),
        ("parser.add_argument('x', help=f'{x} some text')", 1),
        ("raise CommandError('some text')", 1),
        ("self.stdout.write('some text')", 1),
        ("raise CommandError(_('some text'))", 0),
        ("raise CommandError(str(error))", 0),
        ("class C:\n    help = lazy('some text')", 0),
        ("self.stdout.write('')", 0),
    ],
)
def test_plain_text_is_found(code: str, count: int) -> None:
    assert len(list(plain_texts(ast.parse(code)))) == count


def test_sources_have_no_plain_text() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
        for path in SOURCES
        for node in plain_texts(ast.parse(path.read_text()))
    ]
    assert found == []


def test_templates_have_no_plain_text() -> None:
    for path in (PACKAGE / "templates").rglob("*.html"):
        text = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "", path.read_text(), flags=re.DOTALL)
        text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}|<style>.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
        assert re.findall("[A-Za-z]{2,}", re.sub("<[^>]*>", "", text)) == [], path.name


def test_fields_have_translated_names() -> None:
    for model in apps.get_app_config("lifesigns").get_models():
        meta: Any = model._meta
        names = [field.verbose_name for field in meta.fields if not field.primary_key]
        plain = [
            name for name in (*names, meta.verbose_name, meta.verbose_name_plural) if not isinstance(name, Promise)
        ]
        assert plain == [], model.__name__


@cache
def messages() -> tuple[str, ...]:
    """Each text in the sources and templates that is looked up; with its plural, as a catalogue has it."""
    found: list[str] = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FUNCTIONS and node.args:
                count = 2 if getattr(node.func, "id", "") == "ngettext" else 1
                texts = [one.value for one in node.args[:count] if isinstance(one, ast.Constant)]
                if len(texts) == count:
                    found.append("\0".join(map(str, texts)))
    for path in (PACKAGE / "templates").rglob("*.html"):
        found += re.findall(r'{% translate "(.*?)"', path.read_text())
    return tuple(found)


def catalogue(texts: dict[str, str]) -> bytes:
    """A catalogue as gettext compiles it (a .mo file)."""
    entries = sorted((key.encode(), value.encode()) for key, value in texts.items())
    start = 28
    position = start + 16 * len(entries)
    tables: list[list[bytes]] = [[], []]
    content = b""
    for column in (0, 1):
        for entry in entries:
            tables[column].append(struct.pack("<II", len(entry[column]), position + len(content)))
            content += entry[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(entries), start, start + 8 * len(entries), 0, 0)
    return head + b"".join(tables[0]) + b"".join(tables[1]) + content


@pytest.fixture
def guillemets(settings: Any, tmp_path: Path) -> Iterator[None]:
    """A language of which only this package has a catalogue, in effect."""
    header = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
    texts = {"": header, **{text: "\0".join(f"«{part}»" for part in text.split("\0")) for text in messages()}}
    folder = tmp_path / "eo" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(catalogue(texts))
    settings.LOCALE_PATHS = [str(tmp_path)]
    settings.LANGUAGE_CODE = "eo"
    trans_real._translations.clear()  # type: ignore[attr-defined]
    with translation.override("eo"):
        yield
    trans_real._translations.clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_translated(guillemets: None, name: str) -> None:
    parser = load_command_class("django_lifesigns", name).create_parser("manage.py", name)
    assert str(parser.description).startswith("«")
    general = load_command_class("django.core", "check").create_parser("manage.py", "check")
    known = {action.dest for action in general._actions} - {"tags"}
    texts = {action.dest: action.help for action in parser._actions if action.dest not in known and action.help}
    assert [dest for dest, text in texts.items() if not str(text).startswith("«")] == []
    # That argparse can format it, too.
    assert "«" in parser.format_help()


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate_health_report", "--hours", "0"],
        ["health_prune", "--days", "-1"],
        ["monitor_health_continuous", "--max-iterations", "-1"],
        ["monitor_health_continuous", "--interval", "0"],
        ["health_check", "--watch", "x"],
        ["health_check", "nothing"],
        ["health_breaker", "reset"],
        ["health_alert", "test", "--channel", "nothing"],
        ["health_alert", "silence", "--check", "nothing"],
        ["health_alert", "silence", "--check", "*", "--group", "nothing"],
        ["health_alert", "silence", "--check", "*", "--hours", "0"],
        ["health_alert", "silence", "--end", "nothing"],
        ["health_alert", "acknowledge", "nothing"],
    ],
)
@pytest.mark.django_db
def test_error_of_a_command_is_translated(guillemets: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="«") as caught:
        call_command(*arguments, stdout=StringIO())
    assert "\n" not in str(caught.value)


@pytest.mark.django_db(transaction=True)
def test_tables_are_translated(guillemets: None) -> None:
    out = StringIO()
    with suppress(SystemExit):
        call_command("health_check", "default_cache", stdout=out)
    assert "«Check»" in out.getvalue()
    call_command("generate_health_report", stdout=out)
    assert "«check»" in out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "model", ["healthchecklog", "serviceavailability", "alertthreshold", "incident", "delivery", "silence"]
)
def test_admin_is_translated(guillemets: None, model: str) -> None:
    exchange([incident()], [silence()], application="shop", instance="here")
    AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=70)
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    page = client.get(f"/admin/lifesigns/{model}/").content.decode()
    headings = re.findall(r'<th scope="col" class="(?!action).*?</th>', page, re.DOTALL)
    assert headings or model in ("healthchecklog", "serviceavailability")
    assert [heading for heading in headings if "«" not in heading] == []
    index = client.get("/admin/lifesigns/").content.decode()
    assert index.lower().count("«") >= 3
