"""The shipped overlays are built by kustomize, valid, restricted, and speak of what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import lifesigns
from django_lifesigns.settings.conf import parse
from tests.deploy.kubernetes import OVERLAYS, ROOT, build, container, environment, pods, settings, violations
from tests.process.probes import fetch
from tests.process.prometheus import promtool

pytestmark = pytest.mark.services

RULES = ROOT / "deploy" / "prometheus" / "lifesigns.rules.yml"
# The oldest that Kubernetes maintained when these were written, and a newer one.
VERSIONS = ("1.33", "1.35")
# Of the Prometheus operator, which has schemas of its own.
OPERATOR = "monitoring.coreos.com/v1"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@each_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests__are_valid_by_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    for name, manifest in build(overlay).items():
        if manifest["apiVersion"] != OPERATOR:
            assert kubernetes_validate.validate(manifest, version, strict=True) == version, name


@each_overlay
def test_pods__keep_to_the_restricted_profile_that_their_namespace_enforces(overlay: str) -> None:
    namespace = build(overlay)["Namespace/shop"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(overlay).items():
        assert list(violations(pod)) == [], name
        (only,) = pod["containers"]
        assert only["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["automountServiceAccountToken"] is False
    assert list(violations({"containers": [{"name": "x"}]})) != []


@each_overlay
def test_manifests__are_all_in_one_namespace(overlay: str) -> None:
    spaces = {name: manifest["metadata"].get("namespace") for name, manifest in build(overlay).items()}
    assert spaces.pop("Namespace/shop") is None
    assert set(spaces.values()) == {"shop"}


@each_overlay
def test_pods__say_what_they_need_and_hold_what_they_mount(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        (only,) = pod["containers"]
        resources = only["resources"]
        assert {"cpu", "memory"} == resources["requests"].keys(), name
        # A container that is throttled answers its probes late.
        assert {"memory"} == resources["limits"].keys(), name
        volumes = {volume["name"]: volume.get("emptyDir", {}) for volume in pod["volumes"]}
        assert {mount["name"] for mount in only["volumeMounts"]} == volumes.keys(), name
        in_memory = [mebibytes(volume["sizeLimit"]) for volume in volumes.values() if volume.get("medium") == "Memory"]
        assert sum(in_memory) < mebibytes(resources["limits"]["memory"]), name


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


@each_overlay
def test_selectors__find_the_pods_that_they_mean(overlay: str) -> None:
    found = build(overlay)
    deployments = {name: one for name, one in found.items() if one["kind"] == "Deployment"}
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in deployments.values()]
    for name, deployment in deployments.items():
        spec = deployment["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"], name
    selectors = {
        **{name: one["spec"]["selector"] for name, one in found.items() if one["kind"] == "Service"},
        **{
            name: one["spec"]["selector"]["matchLabels"]
            for name, one in found.items()
            if one["kind"] == "PodDisruptionBudget"
        },
        **{
            name: one["spec"]["podSelector"]["matchLabels"]
            for name, one in found.items()
            if one["kind"] == "NetworkPolicy"
        },
    }
    assert {name.split("/")[0] for name in selectors} == {"Service", "PodDisruptionBudget", "NetworkPolicy"}
    for name, selector in selectors.items():
        assert sum(selector.items() <= one.items() for one in labels) == 1, name


@each_overlay
def test_ports__are_those_of_the_containers(overlay: str) -> None:
    found = build(overlay)
    for name in {name.split("/")[1] for name in found if name.startswith("Service/")}:
        ports = {port["name"] for port in container(overlay, name)["ports"]}
        assert {port["targetPort"] for port in found[f"Service/{name}"]["spec"]["ports"]} <= ports
        for rule in found[f"NetworkPolicy/{name}"]["spec"]["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= ports


@each_overlay
def test_probes__are_those_of_a_probe_server(overlay: str) -> None:
    web = container(overlay, "shop")
    ports = {port["name"]: port["containerPort"] for port in web["ports"]}
    assert ports["probes"] == 9464
    engine = lifesigns.Engine()
    engine.register("x", lambda: True)
    engine.run()
    with lifesigns.serve("127.0.0.1:0", engine, show_details="always") as server:
        for probe in PROBES:
            get = web[probe]["httpGet"]
            assert get["port"] == "probes"
            assert fetch(server.address, get["path"]).code == 200
        (endpoint,) = build(overlay)["ServiceMonitor/shop"]["spec"]["endpoints"]
        assert fetch(server.address, endpoint["path"]).code == 200
    # Longer than any probe takes: 0.8 s.
    assert all(web[probe]["timeoutSeconds"] >= 1 for probe in PROBES)


@each_overlay
def test_exec_probes__are_commands_that_there_are(overlay: str, tmp_path: Path) -> None:
    worker = container(overlay, "shop-worker")
    for probe in ("startupProbe", "livenessProbe"):
        command = [word.replace("/dev/shm/shop", str(tmp_path)) for word in worker[probe]["exec"]["command"]]
        assert command[0] == "python"
        result = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, timeout=30)
        # No server there, which is not a wrong command line.
        assert (result.returncode, result.stderr) == (1, "")


@each_overlay
def test_service_monitor__finds_the_service_and_labels_targets_as_the_rules_know_them(overlay: str) -> None:
    service, monitor = build(overlay)["Service/shop"], build(overlay)["ServiceMonitor/shop"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    labels = {relabeling["targetLabel"]: relabeling["replacement"] for relabeling in endpoint["relabelings"]}
    assert labels == {"lifesigns": "true"}
    assert 'up{lifesigns="true"}' in RULES.read_text()
    # With these labels it fires: in the test of the rules.
    assert 'endpoint="probes"' in RULES.with_name("lifesigns.test.yml").read_text()


@each_overlay
def test_prometheus_rule__is_the_shipped_file(overlay: str, tmp_path: Path) -> None:
    spec = build(overlay)["PrometheusRule/shop-lifesigns"]["spec"]
    assert in_one_line(spec) == in_one_line(yaml.safe_load(RULES.read_text()))
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(spec))
    promtool("check", "rules", file)


def in_one_line(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rules with their expressions in one line: kustomize adds empty ones, which mean nothing."""
    found = [rule for group in rules["groups"] for rule in group["rules"]]
    return [{**rule, "expr": " ".join(rule["expr"].split())} for rule in found]


@each_overlay
@pytest.mark.parametrize("deployment", ["shop", "shop-worker"])
def test_settings__go_with_each_deployment(overlay: str, deployment: str) -> None:
    pod = container(overlay, deployment)
    found = settings(overlay, dict.fromkeys(environment(overlay, deployment), "0123456789abcdef"))
    assert parse(found).problems == ()
    assert f":{container(overlay, 'shop')['ports'][1]['containerPort']}" in found["PROBE_SERVER"]
    mounted = {mount["mountPath"] for mount in pod["volumeMounts"]}
    assert str(Path(found["STORE_PATH"]).parent) in mounted
    commands = [pod[probe]["exec"]["command"] for probe in PROBES if "exec" in pod.get(probe, ())]
    # What an exec probe reads is what the signals of Celery leave.
    assert all(command[-2:] == ["--store", found["STORE_PATH"]] for command in commands)
    assert not commands or found["CELERY_SIGNALS"] is True


@pytest.mark.parametrize("deployment", ["shop", "shop-worker"])
def test_fleet__pods_are_called_by_their_names_and_zones(deployment: str) -> None:
    found = environment("fleet", deployment)
    assert found["LIFESIGNS_INSTANCE"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert found["LIFESIGNS_ZONE"] == {"fieldRef": {"fieldPath": "metadata.labels['topology.kubernetes.io/zone']"}}
