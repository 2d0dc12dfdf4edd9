"""What one container may use: the same under compose, systemd and Kubernetes, and enough for what the code asks."""

import re
from pathlib import Path

import yaml

from backend.connections import MOST_CONNECTIONS, RESERVED_DESCRIPTORS

ROOT = Path(__file__).parents[1]


def _of_compose() -> dict[str, str]:
    (service,) = yaml.safe_load((ROOT / "compose.prod.yaml").read_text("utf-8"))["services"].values()
    files = service["ulimits"]["nofile"]
    assert files["soft"] == files["hard"]
    limits = {
        "memory": service["mem_limit"],
        "cpus": service["cpus"],
        "pids": service["pids_limit"],
        "files": files["hard"],
    }
    return {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in limits.items()}


def _of_unit(name: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "systemd" / name).read_text("utf-8"), re.MULTILINE))


def test_units_and_files_agree() -> None:
    compose, unit, backup = (
        _of_compose(),
        _of_unit("ticket-backend.container"),
        _of_unit("ticket-backend-backup.container"),
    )
    assert compose["memory"].upper() == unit["MemoryMax"] == backup["MemoryMax"] == "512M"
    assert compose["pids"] == unit["TasksMax"] == backup["TasksMax"]
    assert f"{float(compose['cpus']) * 100:g}%" == unit["CPUQuota"]
    assert compose["files"] == unit["LimitNOFILE"]
    parts = yaml.safe_load_all((ROOT / "backend/kubernetes.yaml").read_text("utf-8"))
    deployment = next(part for part in parts if part and part["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == unit["MemoryMax"] + "i"


def test_descriptors_are_enough_for_every_connection() -> None:
    assert int(_of_compose()["files"]) >= MOST_CONNECTIONS + RESERVED_DESCRIPTORS
