"""What kustomize makes of the shipped manifests, the settings that go with them, and the rules that they keep."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from tests.services.base import program

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("host", "fleet")

Manifest = dict[str, Any]


@cache
def build(overlay: str) -> dict[str, Manifest]:
    """Return the manifests of an overlay, by kind and name."""
    kubectl = program("kubectl", str(Path(sys.executable).parent))
    directory = KUBERNETES / "overlays" / overlay
    done = subprocess.run([kubectl, "kustomize", directory], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "it warns of what is deprecated"
    found = list(yaml.safe_load_all(done.stdout))
    by_name = {f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in found}
    assert len(by_name) == len(found)
    return by_name


def pods(overlay: str) -> dict[str, Manifest]:
    """Return the specification of the pods of each deployment."""
    found = build(overlay).items()
    return {name: one["spec"]["template"]["spec"] for name, one in found if one["kind"] == "Deployment"}


def container(overlay: str, deployment: str) -> Manifest:
    (only,) = pods(overlay)[f"Deployment/{deployment}"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(overlay: str, name: str) -> dict[str, Any]:
    return {entry["name"]: entry["valueFrom"] for entry in container(overlay, name).get("env", ())}


def settings(overlay: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Return `LIFESIGNS` as the overlay says it, in a pod with these variables."""
    text = (KUBERNETES / "overlays" / overlay / "kustomization.yaml").read_text()
    lines = [line[4:] for line in text.splitlines() if line.startswith("#   ")]
    start, end = lines.index("LIFESIGNS = {"), lines.index("}")
    found = eval(" ".join(lines[start : end + 1]).removeprefix("LIFESIGNS = "), {"os": SimpleNamespace(environ=given)})
    assert isinstance(found, dict)
    return found


# Of those that the profile allows, what could be of use here.
ALLOWED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: Manifest) -> Iterator[str]:
    """Yield what the restricted profile of the Pod Security Standards forbids in a pod."""
    security = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", ()):
        if not volume.keys() - {"name"} <= ALLOWED_VOLUMES:
            yield f"volume {volume['name']}"
    for one in [*pod.get("initContainers", ()), *pod["containers"]]:
        own = one.get("securityContext", {})
        effective = {**security, **own}
        if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
            yield f"{one['name']} may run as root"
        if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{one['name']} has no seccomp profile"
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield f"{one['name']} may gain privileges"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            yield f"{one['name']} has capabilities"
