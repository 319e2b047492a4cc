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


def test_memory__details_agree_with_each_other() -> None:
    result = check({"kind": "memory", **thresholds(100, 100)})
    assert result["status"] == "healthy", result
    details = result["details"]
    assert set(details) == {"total_gb", "used_gb", "available_gb", "percent_used", "source"}
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
def test_memory__tightest_limit_of_nested_groups(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(512 * MB))
    result = run(join(inner), "print(json.dumps(check({'kind': 'memory'})))")
    assert (result["details"]["total_gb"], result["details"]["source"]) == (0.5, "cgroup v1")
    (inner / "memory.limit_in_bytes").write_text(str(256 * MB))
    result = run(join(inner), "print(json.dumps(check({'kind': 'memory'})))")
    assert (result["details"]["total_gb"], result["details"]["source"]) == (0.25, "cgroup v1")
    assert "of the 0.25 GB limit" in result["message"]


@pytest.mark.parametrize("groups", ["memory"], indirect=True)
def test_memory__allocation_crosses_the_threshold(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(256 * MB))
    before, after = run(
        join(inner),
        "before = check({'kind': 'memory'})",
        f"block = b'x' * {240 * MB}",
        "print(json.dumps([before, check({'kind': 'memory'})]))",
    )
    assert before["status"] == "healthy"
    assert after["status"] == "error"
    assert after["details"]["percent_used"] > 90


@pytest.mark.parametrize("groups", ["memory"], indirect=True)
def test_memory__page_cache_is_not_used(groups: tuple[Path, Path], tmp_path: Path) -> None:
    outer, inner = groups
    (outer / "memory.limit_in_bytes").write_text(str(256 * MB))
    usage, result = run(
        join(inner),
        f"file = open({str(tmp_path / 'large')!r}, 'wb')",
        f"[file.write(bytes({MB})) for _ in range(180)]",
        "file.flush()",
        "os.fsync(file.fileno())",
        f"usage = int(open({str(inner / 'memory.usage_in_bytes')!r}).read())",
        "print(json.dumps([usage, check({'kind': 'memory'})]))",
    )
    if usage < 150 * MB:
        pytest.skip("this file system keeps no page cache")
    assert result["status"] == "healthy", result
    assert result["details"]["used_gb"] < 0.1


def test_cpu__details_agree_with_each_other() -> None:
    result = check({"kind": "cpu", **thresholds(1e6, 1e6)})
    assert result["status"] == "healthy", result
    details = result["details"]
    assert {"load_1min", "load_5min", "load_15min", "cpu_count", "normalized_load"} <= set(details)
    assert 1 <= details["cpu_count"] <= (os.cpu_count() or 1)
    assert details["normalized_load"] == pytest.approx(details["load_1min"] / details["cpu_count"], abs=0.02)
    assert "CPU load is normal" in result["message"]


def test_cpu__thresholds() -> None:
    for limits, status in [((0, 1e6), "degraded"), ((0, 0), "error")]:
        result = check({"kind": "cpu", **thresholds(*limits)})
        # A machine can have been idle for a minute.
        assert result["status"] == (status if result["details"]["normalized_load"] > 0 else result["status"])


def test_cpu__pressure() -> None:
    try:
        text = Path("/proc/pressure/cpu").read_text()
    except OSError:
        pytest.skip("this kernel tells no pressure")
    pressure = check({"kind": "cpu"})["details"]["pressure"]
    assert {"some_avg10", "some_avg60", "some_avg300"} <= set(pressure)
    assert all(0 <= value <= 100 for value in pressure.values())
    assert ("full_avg10" in pressure) >= ("full" in text)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2, reason="needs two processors")
def test_cpu__affinity_counts() -> None:
    pinned = run(
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
        "print(json.dumps(check({'kind': 'cpu'})['details']['cpu_count']))",
    )
    assert pinned == 1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
@pytest.mark.parametrize("groups", ["cpu"], indirect=True)
def test_cpu__quota_of_a_parent_counts(groups: tuple[Path, Path]) -> None:
    outer, inner = groups
    (outer / "cpu.cfs_period_us").write_text("100000")
    (outer / "cpu.cfs_quota_us").write_text("100000")
    assert run(join(inner), "print(json.dumps(check({'kind': 'cpu'})['details']['cpu_count']))") == 1
