"""The shipped rules, dashboard, manifests and configurations are valid, and speak of what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.process.prometheus import promtool
from tests.services.base import program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "lifesigns.json"


# As the source names them: Prometheus text has them with `_total`.
COUNTERS = ("health_check_runs", "health_check_errors", "health_check_status_seconds", "health_alert_deliveries")


def metrics() -> set[str]:
    """The names of all metrics, histograms also by their parts."""
    sources = "".join(path.read_text() for path in (ROOT / "src" / "metrics").glob("*.rs"))
    names = set(re.findall(r'"(health_[a-z_]+)"', sources))
    names |= {f"{name}_total" for name in COUNTERS}
    return names | {f"health_check_duration_seconds_{part}" for part in ("bucket", "sum", "count")}


def named_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w:])health_[a-z_]+", text))


def expressions() -> list[str]:
    """The queries of the dashboard, its variables filled in."""
    queries: list[str] = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        queries += [target["expr"] for target in panel.get("targets", ())]
    filled = [query.replace("$__rate_interval", "1m").replace("$__range", "1h") for query in queries]
    return [re.sub(r"\$(job|instance|check)", ".*", query) for query in filled]


@pytest.mark.services
def test_rules__hold_what_they_promise() -> None:
    rules = DEPLOY / "prometheus"
    promtool("check", "rules", rules / "lifesigns.rules.yml")
    promtool("test", "rules", rules / "lifesigns.test.yml")
    alerts = set(re.findall(r"alert: (\w+)", (rules / "lifesigns.rules.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)\n", (rules / "lifesigns.test.yml").read_text()))
    assert alerts == tested


RULES = DEPLOY / "prometheus" / "lifesigns.rules.yml"
PER_JOB = re.compile(r"\b(?:count|max|sum) by \(job\b|^job:")


def alerts() -> dict[str, dict[str, Any]]:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def test_rules__are_one_alert_for_each_job_with_a_runbook() -> None:
    page = (ROOT / "docs/guides/prometheus-alerts.md").read_text()
    for name, rule in alerts().items():
        assert PER_JOB.search(rule["expr"]), name
        assert "$labels.instance" not in str(rule["annotations"]), name
        assert rule["annotations"]["runbook_url"].endswith(f"#{name.lower()}")
        assert f"\n## {name}\n" in page


@pytest.mark.services
def test_alertmanager__example_is_valid_and_names_alerts_that_there_are() -> None:
    file = RULES.with_name("alertmanager.yml")
    done = subprocess.run([program("amtool"), "check-config", file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"Lifesigns[A-Z]\w+", file.read_text())) <= alerts().keys()


def test_alertmanager__groups_hold_one_alert_whose_texts_are_common_to_all() -> None:
    route = yaml.safe_load(RULES.with_name("alertmanager.yml").read_text())["route"]
    shown = {label for rule in alerts().values() for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))}
    assert {"job", "check_name", "path", "channel"} <= shown
    assert shown | {"alertname"} == set(route["group_by"])


def test_metrics__are_named_as_they_are_exposed() -> None:
    assert named_in((DEPLOY / "prometheus" / "lifesigns.rules.yml").read_text()) <= metrics()
    assert named_in("\n".join(expressions())) <= metrics()


def test_dashboard__leaves_no_metric_out() -> None:
    left_out = metrics() - named_in(DASHBOARD.read_text())
    # Shown by other means, or of use to alerts alone.
    assert left_out <= {
        *COUNTERS,
        "health_check_duration_seconds",
        "health_check_duration_seconds_sum",
        "health_check_duration_seconds_count",
        "health_db_connections_used_ratio",
        "health_redis_uptime_seconds",
    }


@pytest.mark.services
def test_dashboard__queries_are_valid(tmp_path: Path) -> None:
    rules = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(expressions())]
    assert len(rules) > 20
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", file)


def test_dashboard__panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd__unit_is_valid() -> None:
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        result = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, "")
        assert "Type=notify" in unit.read_text()
        assert "WatchdogSec=" in unit.read_text()
