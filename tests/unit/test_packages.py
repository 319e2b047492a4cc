"""What both distributions say of themselves: one version, links that are right on PyPI, a changelog from fragments."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lifesigns

ROOT = Path(__file__).resolve().parents[2]
ENGINE, DJANGO = ROOT / "pyproject.toml", ROOT / "django_integration/pyproject.toml"
REPOSITORY = "https://code.example.org/health/lifesigns"
PUBLISHED = ("README.md", "django_integration/README.md", "pyproject.toml", "django_integration/pyproject.toml")


def found(pattern: str, path: Path) -> list[str]:
    return re.findall(pattern, path.read_text(), re.MULTILINE)


def test_version_is_that_of_cargo_everywhere() -> None:
    (version,) = found(r'^version = "([^"]+)"$', ROOT / "Cargo.toml")
    assert lifesigns.__version__ == version
    assert found(r'^ {2}version: "?([\d.]+)"?$', ROOT / "docs/openapi.yaml") == [version]
    # Any of the same minor release go together: `~=0.1.0` takes 0.1.7, and not 0.2.
    line = f"{version.rpartition('.')[0]}.0"
    assert found(r'"django-lifesigns~=([^"]+)"', ENGINE) == found(r'"lifesigns~=([^"]+)"', DJANGO) == [line]


def test_classifiers_of_both_name_the_pythons_that_are_tested() -> None:
    tested = re.findall(r"^MATRIX = \{(.*)\}$", (ROOT / "noxfile.py").read_text(), re.MULTILINE)[0]
    pythons = re.findall(r'"(3\.\d+)":', tested)
    djangos = sorted(set(re.findall(r': "([\d.]+)"', tested)))
    for project in (ENGINE, DJANGO):
        assert found(r'"Programming Language :: Python :: (3\.\d+)"', project) == pythons
    assert found(r'"Framework :: Django :: ([\d.]+)"', DJANGO) == djangos


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A checkout into which the repository's address is written."""
    ignored = shutil.ignore_patterns("target", ".*", "tests", "src", "benches", "python")
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=ignored, symlinks=True)
    command = [sys.executable, str(ROOT / "scripts/set-address"), REPOSITORY, "v0.1.0", str(tmp_path / "checkout")]
    subprocess.run(command, check=True, timeout=60)
    return tmp_path / "checkout"


def test_address__readmes_link_into_the_repository_at_the_tag(published: Path) -> None:
    for name in PUBLISHED[:2]:
        links = re.findall(r"\]\(([^)]+)\)", (published / name).read_text())
        assert links
        assert [link for link in links if not re.match(r"https?://|#", link)] == []
    readme = (published / "README.md").read_text()
    assert f"]({REPOSITORY}/blob/v0.1.0/docs/reference/urls.md#who-sees-what)" in readme
    assert f"]({REPOSITORY}/tree/v0.1.0/examples)" in readme
    assert f"]({REPOSITORY}/blob/v0.1.0/README.md)" in (published / "django_integration/README.md").read_text()


def test_address__both_distributions_have_the_same_urls(published: Path) -> None:
    tables = [
        (published / name).read_text().partition("[project.urls]\n")[2].partition("\n[")[0] for name in PUBLISHED[2:]
    ]
    assert tables[0] == tables[1]
    assert f'Source = "{REPOSITORY}"\n' in tables[0]


def test_address__a_link_to_what_is_not_there_is_an_error(published: Path) -> None:
    (published / "README.md").write_text("[gone](docs/gone.md)")
    command = [sys.executable, str(ROOT / "scripts/set-address"), REPOSITORY, "v0.1.0", str(published)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "docs/gone.md" in done.stderr


def test_changelog__takes_fragments_by_kind(tmp_path: Path) -> None:
    pytest.importorskip("towncrier")
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    fragments = tmp_path / "changelog.d"
    fragments.mkdir()
    (fragments / "12.added.md").write_text("`Http` follows redirects.\n")
    (fragments / "+typo.fixed.md").write_text("A message names the check.\n")
    command = [sys.executable, "-m", "towncrier", "build", "--yes", "--version", "9.9.0", "--date", "2027-01-02"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    changelog = (tmp_path / "CHANGELOG.md").read_text()
    assert re.search(
        r"^# Changes\n.*^## 9\.9\.0 \(2027-01-02\)\n+### Added\n+- `Http` follows redirects\. \(#12\)\n+"
        r"### Fixed\n+- A message names the check\.\n+## 0\.1\.0",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    assert list(fragments.iterdir()) == []


def test_changelog__fragments_have_names_that_are_taken() -> None:
    kinds = found(r'^    \{ directory = "(\w+)"', ENGINE)
    assert len(kinds) == 5
    names = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert [name for name in names if not re.fullmatch(rf"(?:\d+|\+[\w-]+)\.(?:{'|'.join(kinds)})\.md", name)] == []
