"""Disk space and directories: full, read-only, missing, forbidden, and behind a mount that hangs."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lifesigns

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux, to mount file systems or drop rights"
)
Mount = Callable[[str], Path]


def check(spec: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
    engine = lifesigns.Engine()
    engine.register("x", spec, timeout=timeout)
    return dict(engine.check("x"))


def disk(*paths: Path | str, limits: tuple[float, float] | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"kind": "disk", "paths": [str(path) for path in paths]}
    if limits:
        spec["thresholds"] = dict(zip(("degraded_above", "error_above"), limits, strict=True))
    return spec


def directory(path: Path | str, *, critical: bool = True) -> dict[str, Any]:
    return {"kind": "directories", "directories": {"MEDIA_ROOT": {"path": str(path), "critical": critical}}}


def as_nobody(spec: dict[str, Any]) -> dict[str, Any]:
    """The result in a process without root's rights."""
    code = "\n".join(
        [
            "import json, os, sys, lifesigns",
            "engine = lifesigns.Engine()",
            "engine.register('x', json.loads(sys.argv[1]))",
            # Only now: the interpreter's own files may be root's alone.
            "os.setgroups([])",
            "os.setgid(65534)",
            "os.setuid(65534)",
            "print(json.dumps(engine.check('x')))",
        ]
    )
    command = [sys.executable, "-W", "error", "-c", code, json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system in memory with the given options."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        path = tmp_path / f"tmpfs-{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "lifesigns", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        unmount(path)


class HungMount:
    """A FUSE file system whose server never answers: what a dead NFS server looks like to its clients."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._server = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._server},rootmode=40000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"lifesigns", str(path).encode(), b"fuse", 0, options) != 0:
            os.close(self._server)
            pytest.skip(f"cannot mount with FUSE here: {os.strerror(ctypes.get_errno())}")

    def lose_server(self) -> None:
        """Everything that waits for it fails, and so does what comes later."""
        if self._server >= 0:
            os.close(self._server)
            self._server = -1


@pytest.fixture
def hung_mount(tmp_path: Path) -> Iterator[HungMount]:
    if not os.access("/dev/fuse", os.W_OK):
        pytest.skip("needs /dev/fuse")
    path = tmp_path / "hung"
    path.mkdir()
    mount = HungMount(path)
    yield mount
    mount.lose_server()
    unmount(path)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user reaches, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


# Disk


def test_disk__details_as_df_has_them(tmp_path: Path) -> None:
    result = check(disk("/", tmp_path, limits=(100, 100)))
    assert result["status"] == "healthy", result
    usage = result["details"]["disk_usage"]
    one = os.stat("/").st_dev == os.stat(tmp_path).st_dev
    assert set(usage) == ({"/"} if one else {"/", str(tmp_path)})
    assert usage["/"].get("also") == ([str(tmp_path)] if one else None)
    for path, found in usage.items():
        stat = os.statvfs(path)
        used = stat.f_blocks - stat.f_bfree
        assert found["total_gb"] == pytest.approx(stat.f_blocks * stat.f_frsize / 2**30, abs=0.01)
        assert found["free_gb"] == pytest.approx(stat.f_bavail * stat.f_frsize / 2**30, abs=0.5)
        assert found["percent_used"] == pytest.approx(used / (used + stat.f_bavail) * 100, abs=1)
        assert found["status"] == "healthy"
        assert ("inodes_percent_used" in found) == (stat.f_files > 0)


@needs_root
@pytest.mark.parametrize(
    ("percent", "status", "words"),
    [(50, "healthy", "is normal"), (85, "degraded", "is high"), (95, "error", "is critical")],
)
def test_disk__default_thresholds(tmpfs: Mount, percent: int, status: str, words: str) -> None:
    full = tmpfs("size=1000k")
    (full / "data").write_bytes(bytes(percent * 10 * 1024))
    result = check(disk(full))
    assert result["status"] == status, result
    assert f"Disk usage {words}: {full} " in result["message"]
    assert result["details"]["disk_usage"][str(full)]["percent_used"] == pytest.approx(percent, abs=1)
    assert result["details"]["disk_usage"][str(full)]["status"] == status


@needs_root
def test_disk__worst_path_is_named(tmpfs: Mount) -> None:
    full, empty = tmpfs("size=100k"), tmpfs("size=100k")
    (full / "data").write_bytes(bytes(100 * 1024))
    result = check(disk(empty, full, "/nowhere"))
    assert (result["status"], result["message"]) == ("error", f"Disk usage is critical: {full} 100.0% used (above 90%)")
    statuses = {path: found["status"] for path, found in result["details"]["disk_usage"].items()}
    assert statuses == {str(empty): "healthy", str(full): "error", "/nowhere": "warning"}


@needs_root
def test_disk__inodes_run_out(tmpfs: Mount) -> None:
    path = tmpfs("size=1m,nr_inodes=20")
    for number in range(19):
        (path / str(number)).touch()
    result = check(disk(path))
    assert result["status"] == "error"
    assert "100.0% of the inodes used" in result["message"]
    found = result["details"]["disk_usage"][str(path)]
    assert (found["inodes_percent_used"], found["status"]) == (100.0, "error")
    assert found["percent_used"] < 50


def test_disk__paths_on_one_file_system_are_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    result = check(disk(tmp_path, tmp_path / "a", "/proc", limits=(100, 100)))
    usage = result["details"]["disk_usage"]
    assert set(usage) == {str(tmp_path), "/proc"}
    assert usage[str(tmp_path)]["also"] == [str(tmp_path / "a")]


@needs_root
def test_disk__read_only_file_system_is_not_judged(tmpfs: Mount) -> None:
    full = tmpfs("size=100k")
    (full / "data").write_bytes(bytes(100 * 1024))
    assert check(disk(full))["status"] == "error"
    subprocess.run(["mount", "-o", "remount,ro", str(full)], check=True)
    result = check(disk(full))
    assert (result["status"], result["message"]) == (
        "healthy",
        "Disk usage is not judged: every file system is read-only",
    )
    found = result["details"]["disk_usage"][str(full)]
    assert (found["read_only"], found["percent_used"], found["status"]) == (True, 100.0, "skipped")


def test_disk__configured_thresholds() -> None:
    assert check(disk("/", limits=(0, 100)))["status"] == "degraded"
    assert check(disk("/", limits=(0, 0)))["status"] == "error"


def test_disk__missing_path_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    missing, below_file = tmp_path / "missing", tmp_path / "file" / "x"
    result = check(disk("/", missing, below_file, tmp_path / "file", limits=(100, 100)))
    assert result["status"] == "healthy"
    usage = result["details"]["disk_usage"]
    assert usage[str(missing)] == usage[str(below_file)] == {"status": "warning", "problem": "does not exist"}
    assert (
        usage[str(tmp_path / "file")]["status"] == "healthy" if str(tmp_path / "file") in usage else usage["/"]["also"]
    )


def test_disk__nothing_to_measure(tmp_path: Path) -> None:
    result = check(disk(tmp_path / "missing"))
    assert (result["status"], "none of the configured paths exists" in result["message"]) == ("degraded", True)
    assert check(disk())["status"] == "skipped"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_disk__file_system_without_size() -> None:
    result = check(disk("/proc"))
    assert (result["status"], result["message"]) == ("healthy", "Disk usage is normal: /proc 0.0% used")


@needs_root
def test_disk__forbidden_path(open_path: Path) -> None:
    secret = open_path / "secret"
    secret.mkdir(mode=0o700)
    result = as_nobody(disk(secret / "inside"))
    assert result["status"] == "error"
    assert result["message"] == f"Disk usage cannot be read: {secret / 'inside'} (permission denied)"


@needs_root
@pytest.mark.parametrize("kind", ["disk", "directories"])
def test_hung_mount__costs_one_thread_and_no_other_check(hung_mount: HungMount, tmp_path: Path, kind: str) -> None:
    spec = disk("/", hung_mount.path) if kind == "disk" else directory(hung_mount.path)
    engine = lifesigns.Engine(default_timeout=0.3)
    engine.register("hung", spec)
    engine.register("fine", disk(tmp_path, limits=(100, 100)), timeout=5.0)
    threads = []
    for _ in range(8):
        started = time.monotonic()
        results = engine.run(refresh=True)["checks"]
        assert (results["hung"]["error_type"], results["hung"]["timeout_seconds"]) == ("TimeoutError", 0.3)
        assert str(hung_mount.path) in results["hung"]["message"]
        assert results["fine"]["status"] == "healthy"
        assert time.monotonic() - started < 3
        threads.append(len(os.listdir("/proc/self/task")))
    # Idle threads of the pool may come and go, but no run adds another one that waits.
    assert max(threads[1:]) <= threads[0] + 2
    hung_mount.lose_server()
    result = engine.check("hung", refresh=True)
    assert (result["status"], "error_type" in result) == ("error", False)
    assert str(hung_mount.path) in result["message"]


@needs_root
def test_hung_mount__hides_no_other_path(hung_mount: HungMount, tmp_path: Path) -> None:
    result = check(disk(hung_mount.path, tmp_path), timeout=0.3)
    assert result["message"] == f"Timed out after 0.3 s (waiting for {hung_mount.path})"
    assert set(result["details"]["disk_usage"]) == {str(tmp_path)}
    spec = {
        "kind": "directories",
        "directories": {"HUNG": {"path": str(hung_mount.path)}, "FINE": {"path": str(tmp_path)}},
    }
    result = check(spec, timeout=0.3)
    assert result["message"] == f"Timed out after 0.3 s (waiting for HUNG ({hung_mount.path}))"
    assert result["details"]["directories"]["FINE"]["status"] == "healthy"


@needs_root
def test_hung_mount__does_not_hold_up_the_exit(hung_mount: HungMount) -> None:
    code = "\n".join(
        [
            "import sys, lifesigns",
            "engine = lifesigns.Engine()",
            "engine.register('x', {'kind': 'disk', 'paths': [sys.argv[1]]}, timeout=0.2)",
            "print(engine.check('x')['error_type'])",
        ]
    )
    command = [sys.executable, "-W", "error", "-c", code, str(hung_mount.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "TimeoutError\n"), done.stderr


# Directories


def test_directories__writable(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    before = sorted(os.listdir(tmp_path))
    spec = {
        "kind": "directories",
        "directories": {"MEDIA_ROOT": {"path": str(tmp_path)}, "LINK": {"path": str(tmp_path / "link")}},
    }
    result = check(spec)
    assert (result["status"], result["message"]) == ("healthy", "All directories are writable")
    assert result["details"]["directories"]["MEDIA_ROOT"] == {
        "exists": True,
        "writable": True,
        "path": str(tmp_path),
        "status": "healthy",
    }
    assert result["details"]["directories"]["LINK"]["writable"]
    assert sorted(os.listdir(tmp_path)) == before


def test_directories__missing_counts_as_writable_if_it_could_be_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "below"
    result = check(directory(missing))
    assert (result["status"], result["message"]) == ("healthy", "MEDIA_ROOT does not exist yet; it can be created")
    found = result["details"]["directories"]["MEDIA_ROOT"]
    assert (found["exists"], found["writable"], found["status"]) == (False, True, "healthy")
    assert os.listdir(tmp_path) == []


@needs_root
@pytest.mark.parametrize(("critical", "status"), [(True, "error"), (False, "degraded")])
def test_directories__missing_that_cannot_be_made(open_path: Path, critical: bool, status: str) -> None:
    missing = open_path / "missing"
    result = as_nobody(directory(missing, critical=critical))
    problem = f"does not exist and cannot be created: {open_path} is not writable: permission denied"
    assert (result["status"], result["message"]) == (status, f"MEDIA_ROOT ({missing}) {problem}")
    found = result["details"]["directories"]["MEDIA_ROOT"]
    assert (found["exists"], found["writable"], found["status"]) == (False, False, status)
    assert not missing.exists()


@needs_root
def test_directories__missing_on_a_read_only_file_system(tmpfs: Mount) -> None:
    path = tmpfs("size=64k,ro")
    assert "is not writable: read-only filesystem" in check(directory(path / "missing"))["message"]


@needs_root
def test_directories__read_mode(open_path: Path, tmpfs: Mount) -> None:
    def spec(path: Path) -> dict[str, Any]:
        return {"kind": "directories", "directories": {"STATIC_ROOT": {"path": str(path), "mode": "read"}}}

    read_only = tmpfs("size=64k,ro")
    result = check(spec(read_only))
    assert (result["status"], result["message"]) == (
        "healthy",
        "All directories are writable or readable, as configured",
    )
    assert result["details"]["directories"]["STATIC_ROOT"]["readable"]
    missing = check(spec(open_path / "missing"))
    assert (missing["status"], missing["message"]) == ("error", f"STATIC_ROOT ({open_path}/missing) does not exist")
    hidden = open_path / "hidden"
    hidden.mkdir(mode=0o711)
    assert "is not readable: permission denied" in as_nobody(spec(hidden))["message"]


@needs_root
@pytest.mark.parametrize("attribute", ["+a", "+i"])
def test_directories__refused_removal_leaves_no_file_per_run(open_path: Path, attribute: str) -> None:
    path = open_path / "append"
    path.mkdir()
    done = subprocess.run(["chattr", attribute, str(path)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this file system has no such attribute")
    try:
        for _ in range(5):
            result = check(directory(path))
            assert os.listdir(path) == []
        assert result["status"] == ("healthy" if attribute == "+a" else "error")
    finally:
        subprocess.run(["chattr", attribute.replace("+", "-"), str(path)], check=True)


def test_directories__file_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    result = check(directory(path))
    assert (result["status"], result["message"]) == ("error", f"MEDIA_ROOT ({path}) is not a directory")
    assert result["details"]["directories"]["MEDIA_ROOT"]["exists"]


def test_directories__dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "does not exist and cannot be created" in check(directory(tmp_path / "link"))["message"]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_directories__kernel_file_system() -> None:
    result = check(directory("/proc"))
    assert result["status"] == "error"
    assert "MEDIA_ROOT (/proc) is not writable" in result["message"]


@needs_root
def test_directories__read_only(tmpfs: Mount) -> None:
    path = tmpfs("size=64k,ro")
    result = check(directory(path))
    assert result["status"] == "error"
    assert f"MEDIA_ROOT ({path}) is not writable: read-only filesystem" in result["message"]


@needs_root
@pytest.mark.parametrize(("options", "files"), [("size=64k", 1), ("size=64k,nr_inodes=4", 3)])
def test_directories__full(tmpfs: Mount, options: str, files: int) -> None:
    path = tmpfs(options)
    for number in range(files):
        (path / str(number)).write_bytes(bytes(64 * 1024 // files if "inodes" not in options else 0))
    for _ in range(3):
        result = check(directory(path))
        assert (result["status"], "is not writable: no storage space" in result["message"]) == ("error", True)
        assert len(os.listdir(path)) == files


@needs_root
def test_directories__permission_bits(open_path: Path) -> None:
    for mode, problem in [(0o777, None), (0o755, "is not writable: permission denied")]:
        path = open_path / oct(mode)
        path.mkdir()
        path.chmod(mode)
        result = as_nobody(directory(path))
        assert result["details"]["directories"]["MEDIA_ROOT"].get("problem") == problem
        assert result["details"]["directories"]["MEDIA_ROOT"]["exists"]
        assert os.listdir(path) == []
    hidden = open_path / "hidden"
    hidden.mkdir(mode=0o700)
    assert "cannot be read: permission denied" in as_nobody(directory(hidden / "inside"))["message"]


def test_directories__many_at_once_leave_nothing(tmp_path: Path) -> None:
    def once(_: int) -> str:
        return str(check(directory(tmp_path))["status"])

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(once, range(200))) == {"healthy"}
    assert os.listdir(tmp_path) == []
