"""Memory and CPU load: of this machine, and in control groups of our own where we may make some."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lifesigns

V1 = Path("/sys/fs/cgroup")
MB = 1 << 20


def check(spec: dict[str, Any]) -> dict[str, Any]:
    engine = lifesigns.Engine()
    engine.register("x", spec)
    return dict(engine.check("x"))


def thresholds(degraded_above: float, error_above: float) -> dict[str, Any]:
    return {"thresholds": {"degraded_above": degraded_above, "error_above": error_above}}


def run(*lines: str) -> Any:
    """What a process of its own prints as JSON; `check` is there, `lifesigns` is imported."""
    start = [
        "import json, os, lifesigns",
        "def check(spec):",
        "    engine = lifesigns.Engine()",
        "    engine.register('x', spec)",
        "    return engine.check('x')",
    ]
    code = "\n".join([*start, *lines])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def groups(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Path]]:
    """A version 1 control group of the wanted controller, and one inside it."""
    top = V1 / request.param
    if not os.access(top / "cgroup.procs", os.W_OK):
        pytest.skip(f"needs root and a writable cgroup v1 controller at {top}")
    outer = top / f"lifesigns-{uuid.uuid4().hex}"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    yield outer, inner
    inner.rmdir()
    outer.rmdir()


def join(group: Path) -> str:
    return f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"


def join_code(group: Path) -> str:
    return f"import os\n{join(group)}"


def counted(group: Path, megabytes: int) -> str:
    """Waits until the kernel's statistics know so much: they are up to two seconds behind its usage."""
    return f"""
import time
until = time.monotonic() + 10
while time.monotonic() < until:
    lines = open({str(group / "memory.stat")!r}).read().splitlines()
    stat = dict((name, int(value)) for name, value in map(str.split, lines))
    if stat["total_rss"] + stat["total_cache"] >= {megabytes * MB}: break
    time.sleep(0.05)
"""


def test_memory__details_agree_with_each_other() -> None:
    result = check({"kind": "memory", **thresholds(100, 100)})
    assert result["status"] == "healthy", result
    details = result["details"]
    assert set(details) == {"total_gb", "used_gb", "available_gb", "percent_used", "reclaimable_gb", "source"}
    assert details["total_gb"] == pytest.approx(details["used_gb"] + details["available_gb"], abs=0.02)
    assert details["percent_used"] == pytest.approx(details["used_gb"] / details["total_gb"] * 100, abs=1)
    assert details["source"] in {"host", "cgroup v1", "cgroup v2"}
    assert "Memory usage is normal" in result["message"]


@pytest.mark.parametrize(("limits", "status", "word"), [((0, 100), "degraded", "high"), ((0, 0), "error", "critical")])
def test_memory__thresholds(limits: tuple[float, float], status: str, word: str) -> None:
    result = check({"kind": "memory", **thresholds(*limits)})
    assert result["status"] == status
    assert f"is {word}" in result["message"]
    # It found something; it did not fail.
    assert "error_type" not in result


@pytest.mark.parametrize("groups", ["memory"], indirect=True)
def test_memory__fullest_limit_of_nested_groups(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(512 * MB))
    (inner / "memory.limit_in_bytes").write_text(str(400 * MB))
    allocate = f"block = b'x' * {350 * MB}"
    show = "print(json.dumps(check({'kind': 'memory'})))"
    result = run(join(inner), allocate, counted(inner, 350), show)
    assert (result["details"]["total_gb"], result["details"]["source"]) == (0.39, "cgroup v1")
    assert "of the 0.39 GB limit" in result["message"]
    # The parent's limit is larger, but a sibling fills it.
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"{join_code(outer)}\nblock = b'x' * {200 * MB}\nprint(flush=True)\nimport sys\nsys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as sibling:
        assert sibling.stdout is not None
        sibling.stdout.readline()
        result = run(join(inner), f"block = b'x' * {250 * MB}", counted(outer, 450), show)
        sibling.communicate()
    assert (result["details"]["total_gb"], result["details"]["source"]) == (0.5, "cgroup v1"), result


@pytest.mark.parametrize("groups", ["memory"], indirect=True)
def test_memory__allocation_crosses_the_threshold(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(256 * MB))
    before, after = run(
        join(inner),
        "before = check({'kind': 'memory'})",
        f"block = b'x' * {240 * MB}",
        counted(outer, 240),
        "print(json.dumps([before, check({'kind': 'memory'})]))",
    )
    assert before["status"] == "healthy"
    assert after["status"] == "error"
    assert after["details"]["percent_used"] > 90


@pytest.mark.parametrize("groups", ["memory"], indirect=True)
@pytest.mark.parametrize("reads", [0, 2])
def test_memory__page_cache_is_not_used(groups: tuple[Path, Path], tmp_path: Path, reads: int) -> None:
    """Read twice it is active: the kernel reclaims it all the same."""
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(256 * MB))
    usage, at_once, result = run(
        join(inner),
        f"file = open({str(tmp_path / 'large')!r}, 'wb')",
        # Fuller than the host, so that the group is what is shown.
        f"block = b'x' * {90 * MB}",
        f"[file.write(bytes({MB})) for _ in range(130)]",
        "file.flush()",
        "os.fsync(file.fileno())",
        f"for _ in range({reads}):",
        f"    with open({str(tmp_path / 'large')!r}, 'rb') as again:",
        f"        while again.read({MB}): pass",
        "at_once = check({'kind': 'memory'})",
        counted(outer, 220),
        f"usage = int(open({str(inner / 'memory.usage_in_bytes')!r}).read())",
        "print(json.dumps([usage, at_once, check({'kind': 'memory'})]))",
    )
    if usage < 200 * MB:
        pytest.skip("this file system keeps no page cache")
    assert (at_once["status"], result["status"]) == ("healthy", "healthy"), (at_once, result)
    if result["details"]["source"] == "host":
        pytest.skip("the host is fuller than the group")
    assert result["details"]["used_gb"] < 0.14
    assert result["details"]["reclaimable_gb"] > 0.1


def test_cpu__details_agree_with_each_other() -> None:
    result = check({"kind": "cpu", **thresholds(1e6, 1e6)})
    assert result["status"] == "healthy", result
    details = result["details"]
    assert {"load_1min", "load_5min", "load_15min", "cpu_count", "normalized_load", "scope"} <= set(details)
    assert 1 <= details["cpu_count"] <= (os.cpu_count() or 1)
    assert details["normalized_load"] == pytest.approx(details["load_1min"] / details["cpu_count"], abs=0.02)
    assert details["scope"] in {"host", "cgroup v1", "cgroup v2"}


def test_cpu__load_counts_only_under_pressure() -> None:
    for limits, status in [((0, 1e6), "degraded"), ((0, 0), "error")]:
        result = check({"kind": "cpu", "pressure_above": 0, **thresholds(*limits)})
        details = result["details"]
        if details["scope"] != "host":
            pytest.skip("this process has fewer CPUs than the host")
        # A machine can have been idle for a minute.
        counts = details["normalized_load"] > 0 and details.get("pressure", {}).get("some_avg60", 1) > 0
        assert result["status"] == (status if counts else "healthy")
        if "pressure" in details:
            calm = check({"kind": "cpu", "pressure_above": 100, **thresholds(*limits)})
            assert calm["status"] == "healthy", calm


def test_cpu__pressure() -> None:
    try:
        text = Path("/proc/pressure/cpu").read_text()
    except OSError:
        pytest.skip("this kernel has no pressure stall information")
    details = check({"kind": "cpu"})["details"]
    if details["scope"] != "host":
        pytest.skip("this process has fewer CPUs than the host")
    pressure = details["pressure"]
    assert {"some_avg10", "some_avg60", "some_avg300"} <= set(pressure)
    assert all(0 <= value <= 100 for value in pressure.values())
    assert ("full_avg10" in pressure) >= ("full" in text)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2, reason="needs two processors")
def test_cpu__affinity_counts() -> None:
    details = run(
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
        "print(json.dumps(check({'kind': 'cpu'})['details']))",
    )
    assert (details["cpu_count"], details["host_cpu_count"]) == (1, os.cpu_count())


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
@pytest.mark.parametrize("groups", ["cpu"], indirect=True)
def test_cpu__idle_group_with_fewer_cpus_is_healthy_whatever_the_load(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "cpu.cfs_period_us").write_text("100000")
    (outer / "cpu.cfs_quota_us").write_text("100000")
    spec = {"kind": "cpu", **thresholds(0, 0)}
    result = run(join(inner), f"print(json.dumps(check({spec!r})))")
    details = result["details"]
    assert result["status"] == "healthy", result
    assert (details["cpu_count"], details["host_cpu_count"], details["scope"]) == (1, os.cpu_count(), "cgroup v1")
    assert details["normalized_load"] == pytest.approx(details["load_1min"], abs=0.02)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
@pytest.mark.parametrize("groups", ["cpu"], indirect=True)
def test_cpu__throttled_group_is_an_error(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "cpu.cfs_period_us").write_text("100000")
    (outer / "cpu.cfs_quota_us").write_text("20000")
    result = run(
        join(inner),
        "import subprocess, sys",
        "busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(2)]",
        "import time",
        "end = time.monotonic() + 20",
        "while True:",
        "    result = check({'kind': 'cpu', 'group_thresholds': {'degraded_above': 10, 'error_above': 25}})",
        "    if result['status'] == 'error' or time.monotonic() > end: break",
        "for process in busy:",
        "    process.kill()",
        "    process.wait()",
        "print(json.dumps(result))",
    )
    assert result["status"] == "error", result
    assert result["details"]["throttled_percent"] > 25
    assert "throttled in" in result["message"]
