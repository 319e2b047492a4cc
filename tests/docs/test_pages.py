"""The documentation: it builds with its links checked, and its pages of checks are those of the code."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from django_lifesigns.checks.cache import CacheRoundTrip
from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.settings import problems
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.options import TARGET_FIELDS
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import specs

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / "docs/checks"
SETTINGS = ROOT / "docs/reference/settings.md"
SYSTEM_CHECKS = ROOT / "docs/reference/system-checks.md"
METRICS, EVENTS = (ROOT / f"docs/reference/{name}.md" for name in ("metrics", "events"))
# By the name of its constant, the id of each system check.
IDS = {name: value for name, value in vars(problems).items() if re.fullmatch(r"[EW]\d{3}", str(value))}
# What the pages of these checks describe.
KINDS: dict[str, type] = {
    "database_connectivity": specs.Postgres,
    "postgis_extension": specs.Postgis,
    "postgresql_functions": specs.PostgresFunctions,
    "redis_connectivity": specs.Redis,
    "default_cache": CacheRoundTrip,
    "task_queue": specs.TaskTables,
    "disk_space": specs.Disk,
    "directory_permissions": specs.Directories,
    "database_performance": specs.PostgresStatements,
    "connection_pool": specs.PostgresConnections,
    "select2_cache": CacheRoundTrip,
    "memory_usage": specs.Memory,
    "cpu_load": specs.Cpu,
    "channel_layer": ChannelRoundTrip,
    "mqtt_broker": specs.Mqtt,
    "aws_ses": specs.Smtp,
    "google_maps_api": specs.GoogleMaps,
    "openai_api": specs.OpenAI,
    "anthropic_api": specs.Anthropic,
    "pending_tasks": specs.PendingTasks,
    "failed_tasks": specs.FailedTasks,
    "task_workers": specs.TaskWorkers,
}


def options_of(page: str) -> set[str]:
    """Return the options that a page lists in its table of them."""
    table = page.partition("| option | type | default |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_site__builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    assert (tmp_path / "site/checks/disk_space/index.html").is_file()
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", (tmp_path / "site/llms.txt").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed)) == len([*(ROOT / "docs").glob("**/*.md")])
    assert [path for path in listed if not (tmp_path / "site" / path / "index.html").is_file()] == []
    assert "degraded_above" in (tmp_path / "site/llms-full.txt").read_text()


def test_pages__one_for_each_check_of_the_catalogue() -> None:
    assert KINDS.keys() == CATALOGUE.keys()
    for name in CATALOGUE:
        text = (CHECKS / f"{name}.md").read_text()
        assert text.startswith(f"# `{name}`\n")
        assert ("\nCritical." in text) == CATALOGUE[name].critical, name
        assert f"[`{name}`]({name}.md)" in (CHECKS / "index.md").read_text()


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_pages__name_only_options_that_there_are(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(KINDS[name])}
    named = options_of((CHECKS / f"{name}.md").read_text())
    assert named <= fields - TARGET_FIELDS
    if "thresholds" in fields:
        assert "thresholds" in named


def test_system_checks__page_lists_each_id_once() -> None:
    listed = re.findall(r"^\| `lifesigns\.(\w+)` \| warning \| ", SYSTEM_CHECKS.read_text(), re.MULTILINE)
    assert len(IDS) > 15
    assert sorted(listed) == sorted(IDS.values())


def test_system_checks__each_id_is_reported_and_no_other() -> None:
    files = sorted((ROOT / "django_integration/django_lifesigns").glob("**/*.py"))
    source = "\n".join(path.read_text() for path in files if path != Path(problems.__file__))
    uses = [name for name in IDS if re.search(rf"\bProblem\(\s*{name}\b", source)]
    assert uses == list(IDS)
    assert re.findall(r"[\"']lifesigns\.[EW]\d{3}|[\"'][EW]\d{3}[\"']", source) == []


def test_pages__name_only_ids_that_there_are() -> None:
    pages = [*(ROOT / "docs").glob("**/*.md"), ROOT / "README.md"]
    named = {id for page in pages for id in re.findall(r"`(?:lifesigns\.)?([EW]\d{3})`", page.read_text())}
    assert named <= set(IDS.values())


def test_settings_page__defaults_are_those_of_the_code() -> None:
    table = SETTINGS.read_text().partition("\n## ")[0]
    compared = []
    for key, default in re.findall(r"^\| `(\w+)` \| [^|]+ \| `?([^|`]+)`? \|", table, re.MULTILINE):
        try:
            expected = ast.literal_eval(default)
        except (SyntaxError, ValueError):  # words, such as "none"
            continue
        found = getattr(Conf(checks={}), key.lower())
        assert (list(found) if isinstance(expected, list) else found) == expected, key
        compared.append(key)
    assert len(compared) > 20


def test_situations__each_has_a_test() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/explanation/situations.md").read_text())
    assert len(named) > 20
    assert [(file, name) for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []


def test_pages__error_types_are_those_of_the_engine() -> None:
    source = (ROOT / "src/model/error.rs").read_text() + (ROOT / "src/model/outcome.rs").read_text()
    codes = set(re.findall(r'"(\w+Error)"', source))
    listed = set(re.findall(r"`(\w+Error)`", (CHECKS / "index.md").read_text()))
    assert codes <= listed


def test_metrics__page_lists_each_name() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "src/metrics").glob("*.rs")))
    counters = set(re.findall(r'self\.counter\(\s*encoder,\s*"(health_\w+)"', source))
    assert len(counters) == 4
    names = {f"{name}_total" if name in counters else name for name in re.findall(r'"(health_[a-z_]+)"', source)}
    rows = [line for line in METRICS.read_text().splitlines() if line.startswith("| `health_")]
    assert {name for row in rows for name in re.findall(r"`(health_\w+)`", row.split(" | ")[0])} == names


def test_events__page_lists_each_logger() -> None:
    files = [*(ROOT / "src").glob("**/*.rs"), *(ROOT / "python/lifesigns").glob("*.py")]
    files += (ROOT / "django_integration/django_lifesigns").glob("**/*.py")
    source = "\n".join(path.read_text() for path in files)
    named = r'getLogger\("((?:django_)?lifesigns[\w.]*)"\)|const \w+: &str = "(lifesigns[\w.]*)";'
    loggers = {name for pair in re.findall(named, source) for name in pair if name}
    assert len(loggers) > 6
    assert set(re.findall(r"^\| `([\w.]+)` \|", EVENTS.read_text(), re.MULTILINE)) == loggers
