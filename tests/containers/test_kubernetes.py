"""The manifest for clusters, played by Podman: one pod, ready, with its state in AWS."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers.engines import ROOT, RUN, TOKEN, Backend, Engine, free_port, wait_until
from tests.containers.stores import stores
from tests.containers.test_compose import no_controllers

MANIFEST = ROOT / "backend/kubernetes.yaml"


@contextmanager
def played(engine: Engine, image: str, folder: Path, given: dict[str, str]) -> Iterator[Backend]:
    """The manifest, with this image and these settings; taken down in the end."""
    name, port = f"{RUN}-kube", free_port()
    secrets = {key.lower(): given.pop(key) for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    parts = [part for part in yaml.safe_load_all(_renamed(MANIFEST.read_text(), name)) if part]
    next(part for part in parts if part["kind"] == "ConfigMap")["data"] |= given
    container = _container(parts)
    container["image"] = image
    if no_controllers():
        del container["resources"]
    secret = {"admin_token": TOKEN, **secrets}
    parts.insert(0, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": secret})
    path = folder / "played.yaml"
    path.write_text(yaml.safe_dump_all(parts))
    try:
        engine.run("kube", "play", "--publish", f"127.0.0.1:{port}:8000", str(path))
        yield Backend(port)
    except BaseException:
        print(engine.run("logs", f"{name}-pod-backend", check=False))
        raise
    finally:
        engine.run("kube", "down", "--force", str(path), check=False)


def _renamed(text: str, name: str) -> str:
    return re.sub(r"(name|app|secretName): ticket-backend\b(?!-)", rf"\1: {name}", text)


def _container(parts: list[dict[str, Any]]) -> dict[str, Any]:
    deployment = next(part for part in parts if part["kind"] == "Deployment")
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def test_podman_plays_the_manifest(engine: Engine, image: str, tmp_path: Path) -> None:
    if engine.name != "podman":
        pytest.skip("docker plays no manifests")
    with stores(engine, tmp_path) as given, played(engine, image, tmp_path, dict(given)) as api:
        wait_until(api.is_healthy, 60, "the pod to be healthy")
        assert api.get("/health/ready").status_code == 200
        api.ticket(files=("a.bin", b"x" * 5000, "application/octet-stream"))
        (pod,) = engine.run("ps", "-q", "--filter", f"name={RUN}-kube-pod-backend").stdout.split()
        wait_until(
            lambda: engine.run("inspect", "-f", "{{.State.Health.Status}}", pod).stdout.strip() == "healthy",
            30,
            "the probe by command to succeed",
        )
    assert not engine.run("pod", "ps", "-q", "--filter", f"name={RUN}-kube").stdout.split()


def test_manifest_is_as_strict_as_the_compose_file_and_loses_no_request() -> None:
    parts = [part for part in yaml.safe_load_all(MANIFEST.read_text()) if part]
    assert [part["kind"] for part in parts] == ["ConfigMap", "Deployment", "Service", "PodDisruptionBudget"]
    deployment = next(part for part in parts if part["kind"] == "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pod, container = deployment["template"]["spec"], _container(parts)
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 1000
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert "httpGet" not in container["livenessProbe"], "Podman would call curl, which the image does not have"
    paused = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= paused + 8 + 5, "requests get 8 s, background work 5 s"
    labels = deployment["template"]["metadata"]["labels"]
    assert all(labels == part["spec"].get("selector", {}).get("matchLabels", labels) for part in parts[1:])
