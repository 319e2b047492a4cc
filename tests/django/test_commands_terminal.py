"""How the commands look: on a terminal and in a pipe, in colours and without, with `rich` and without it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_lifesigns.management.base import require_history
from tests.django.projects import environment, run
from tests.django.test_commands_monitor import QUIET_MACHINE, on_a_terminal, project
from tests.services import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ESCAPE = "\x1b["
LONG = "a message that is longer than a terminal is wide, " * 8
MINE = {"CHECKS": {"mine": lambda: {"status": "healthy", "message": LONG}}}
# What stands for an image without the extra `cli`.
WITHOUT_RICH = """
import sys
sys.modules["rich"] = None
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def health_check(*arguments: str, out: StringIO | None = None, **options: Any) -> str:
    out = out or StringIO()
    with suppress(SystemExit):  # 2 where it is unhealthy
        call_command("health_check", *arguments, stdout=out, **options)
    return out.getvalue()


def test_piped__one_line_for_each_check(settings: Any) -> None:
    settings.LIFESIGNS = MINE
    [header, row, mark, empty, overall] = health_check("mine").splitlines()
    assert header.split() == ["Check", "Status", "ms", "Message"]
    assert row.startswith("mine *  healthy  ")
    assert row.endswith(LONG.strip())
    assert (mark, empty) == ("* critical", "")
    assert overall == "All systems operational: 1 healthy, 0 degraded, 0 errors, 0 skipped"


def test_terminal__long_messages_are_wrapped_within_their_column(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    settings.LIFESIGNS = MINE
    lines = [line for line in health_check("mine", "--no-color", out=Terminal()).splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    within = [line for line in lines[2:] if line.startswith("     ")]
    assert len(within) > 5
    assert re.sub(r"\s+", " ", " ".join([lines[1].split(maxsplit=4)[-1], *within])).strip() == LONG.strip()


@pytest.mark.parametrize(
    ("arguments", "variables", "terminal", "coloured"),
    [
        ([], {}, True, True),
        ([], {}, False, False),
        (["--no-color"], {}, True, False),
        (["--force-color"], {}, False, True),
        ([], {"NO_COLOR": "1"}, True, False),
        ([], {"NO_COLOR": ""}, True, True),
        (["--force-color"], {"NO_COLOR": "1"}, False, True),
        ([], {"DJANGO_COLORS": "nocolor"}, True, False),
    ],
)
def test_colours__by_django_s_options(
    monkeypatch: Any, arguments: list[str], variables: dict[str, str], terminal: bool, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("DJANGO_COLORS", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = Terminal() if terminal else StringIO()
    monkeypatch.setattr(sys, "stdout", out)  # Django looks at it for the colours
    shown = health_check("default_cache", *arguments, out=out)
    assert "default_cache" in shown
    assert (ESCAPE in shown) == coloured


def test_skipped__folded_into_one_line_unless_wanted() -> None:
    [folded] = [line for line in health_check().splitlines() if "mqtt_broker" in line]
    assert folded.startswith(f"{folded.split()[0]} skipped (--all says why): ")
    assert "aws_ses" in folded or "google_maps_api" in folded
    for arguments in (["--all"], ["mqtt_broker"]):
        [row] = [line for line in health_check(*arguments).splitlines() if "mqtt_broker" in line]
        assert row.split()[:2] == ["mqtt_broker", "skipped"]
        assert "MQTT_CONFIG" in row


def test_fresh_unless_cached(settings: Any) -> None:
    runs: list[int] = []
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: runs.append(1)}}
    health_check("mine")
    health_check("mine")
    assert len(runs) == 2
    cached = health_check("mine", "--cached")
    assert len(runs) == 2
    [header, row, *_] = cached.splitlines()
    assert header.split() == ["Check", "Status", "ms", "Age", "Message"]
    assert re.search(r"healthy +\d+\.\d+ +0 s", row)
    assert "(0 s old)" in health_check("mine", "--cached", "--format", "text")


def test_text__a_line_for_each_check(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: {"status": "error", "message": "two\nlines"}}}
    lines = health_check("mine", "default_cache", "--format", "text").splitlines()
    assert lines[0] == "unhealthy Critical systems failing"
    assert "mine: error two lines" in lines
    assert [line for line in lines if re.match(r"default_cache: healthy ", line)]
    assert [line for line in health_check("--format", "text").splitlines() if "skipped (--all" in line]


def test_names__unknown_ones_with_the_nearest() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("health_check", "defualt_cache", "default_cache")
    assert str(caught.value) == "Unknown check 'defualt_cache'. Did you mean 'default_cache'?"
    assert caught.value.returncode == 2


ALL_OF_THEM = (
    ["health_check", "default_cache", "mqtt_broker", "--force-color"],
    ["health_check", "default_cache", "--format", "text"],
    ["health_breaker", "list"],
    ["monitor_health_continuous", "--max-iterations", "1"],
    ["generate_health_report"],
    ["generate_health_report", "--format", "html"],
    ["health_prune"],
    ["health_objectives"],
    ["health_rollup", "--backfill"],
)


def test_without_rich__every_command_works(tmp_path: Path) -> None:
    settings = project(tmp_path)
    for arguments in ALL_OF_THEM:
        done = run(tmp_path, settings, "-W", "ignore", "-c", WITHOUT_RICH, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert done.stdout.strip()
        assert (ESCAPE in done.stdout) == ("--force-color" in arguments)


def test_without_rich__watch_prints_block_after_block_on_a_terminal(tmp_path: Path) -> None:
    program = ["-c", WITHOUT_RICH]
    shown = on_a_terminal(
        tmp_path, project(tmp_path), "health_check", "default_cache", "--watch", "0.3", program=program
    )
    assert f"{ESCAPE}1A" not in shown
    assert shown.count("Message") >= 2


def test_watch__redraws_in_place_on_a_terminal(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, project(tmp_path), "health_check", "default_cache", "--watch", "0.3")
    # Up, over the lines of the block before.
    assert f"{ESCAPE}1A" in shown
    assert "(every 0.3 s)" in " ".join(shown.split())  # 80 columns wrap it


def test_watch__prints_block_after_block_into_a_pipe(tmp_path: Path) -> None:
    arguments = ["-W", "ignore", "-m", "django", "health_check", "default_cache", "--watch", "0.2"]
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(tmp_path, project(tmp_path)),
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        seen = [process.stdout.readline() for _ in range(12)]
        # As `head` does: no traceback of the broken pipe.
        process.stdout.close()
        wait_until(lambda: process.poll() is not None, 60)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert (errors, process.returncode) == ("", 1)
    assert not [line for line in seen if ESCAPE in line]
    blocks = "".join(seen).split("\n\n")
    assert [line for line in seen if line.startswith("default_cache *")]
    assert re.match(r"All systems operational: .* \(2\S+Z\)$", blocks[0])


NOWHERE = {"ENGINE": "django.db.backends.postgresql", "NAME": "x", "USER": "x", "HOST": "127.0.0.1", "PORT": "1"}


@pytest.mark.parametrize(
    "arguments", [["generate_health_report"], ["health_prune"], ["health_objectives"], ["health_rollup", "--backfill"]]
)
def test_database_down__one_line(tmp_path: Path, arguments: list[str]) -> None:
    settings = {"DATABASES": {"default": NOWHERE}, "LIFESIGNS": QUIET_MACHINE}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", *arguments)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "CommandError: The database of the history cannot be reached (OperationalError). See `manage.py health_check`."
    )


@pytest.mark.parametrize("arguments", [["generate_health_report"], ["health_prune"], ["health_rollup", "--backfill"]])
def test_database_without_tables__one_line(tmp_path: Path, arguments: list[str]) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    settings = {"DATABASES": {"default": database}, "LIFESIGNS": QUIET_MACHINE}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", *arguments)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "CommandError: The table core_health_check_log is missing (OperationalError). Run `manage.py migrate`."
    )


def test_database_down__health_check_shows_its_report(tmp_path: Path) -> None:
    settings = {"DATABASES": {"default": NOWHERE}, "LIFESIGNS": QUIET_MACHINE}
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", "health_check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    [row] = [line for line in done.stdout.splitlines() if line.startswith("database_connectivity *")]
    assert row.split()[2] == "error"


def test_database_hangs__one_line_in_time(tmp_path: Path) -> None:
    """A server that accepts connections and never answers: Django alone would wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        settings = {"DATABASES": {"default": {**NOWHERE, "PORT": port}}, "LIFESIGNS": QUIET_MACHINE}
        done = run(tmp_path, settings, "-W", "ignore", "-m", "django", "generate_health_report")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "CommandError: The database of the history does not answer. See `manage.py health_check`."
    )


def test_require_history__answers() -> None:
    require_history()


def test_rich__is_the_extra_cli() -> None:
    root = Path(__file__).resolve().parents[2]
    for folder, extra in ((root, "rich>="), (root / "django_integration", "lifesigns[cli]")):
        text = (folder / "pyproject.toml").read_text()
        assert "rich" not in (re.search(r"^dependencies = .*$", text, re.M) or [""])[0]
        extras = re.search(r"^cli = (.*)$", text, re.M)
        assert extras is not None
        assert extra in extras.group(1)
