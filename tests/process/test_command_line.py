"""The console script `lifesigns`, beside its probes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lifesigns

DEPLOY = Path(__file__).parents[2] / "deploy"


def command(*arguments: object, module: bool = False) -> tuple[int, str, str]:
    program = [sys.executable, "-m", "lifesigns"] if module else [str(Path(sys.executable).with_name("lifesigns"))]
    done = subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_version_is_that_of_the_engine() -> None:
    for module in (True, False):
        assert command("--version", module=module) == (0, f"lifesigns {lifesigns.__version__}\n", "")


def test_assets_are_copied_and_files_that_are_there_are_kept(tmp_path: Path) -> None:
    code, printed, errors = command("assets", "--to", tmp_path / "new")
    assert (code, errors) == (0, "")
    wanted = sorted(path.relative_to(DEPLOY) for path in DEPLOY.rglob("*") if path.is_file())
    copied = sorted(path.relative_to(tmp_path / "new") for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert copied == wanted
    assert len(printed.splitlines()) == len(wanted)
    assert all((DEPLOY / path).read_bytes() == (tmp_path / "new" / path).read_bytes() for path in wanted)
    changed = tmp_path / "new" / wanted[0]
    changed.write_text("mine")
    code, printed, _ = command("assets", f"--to={tmp_path / 'new'}")
    assert (code, printed.count("(kept)")) == (0, len(wanted))
    assert changed.read_text() == "mine"


def test_assets_where_they_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, printed, errors = command("assets", "--to", tmp_path / "file")
    assert (code, printed, len(errors.splitlines())) == (1, "", 1)


def test_wrong_command_line_says_what_is_wrong() -> None:
    for arguments, said in (
        ((), "probe"),
        (("assets",), "--to"),
        (("asset",), "assets"),
        (("assets", "--at", 1), "--at"),
    ):
        code, printed, errors = command(*arguments)
        assert (code, printed) == (2, "")
        assert said in errors.splitlines()[-1]
