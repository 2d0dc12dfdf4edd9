"""The container of production under attack, with its limits: others go on, and its memory stays far below the limit.

Where the engine has no memory controller, as in the lab on a machine with cgroup v1, it runs without the limit, and the
memory of its processes is held against it all the same.
"""

import json
from dataclasses import dataclass

from tests.containers.engines import TOKEN, Container, Engine
from tests.siege.attacking import Target
from tests.siege.bystander import RECOVERY_SECONDS, besiege, crowd, look_at_idle
from tests.siege.servers import MEGABYTE, furnish

LIMIT = 512 * MEGABYTE  # TICKET_MEMORY in compose.prod.yaml
ATTACKS = ["endless heads", "slow heads", "connections", "small chunks", "many small parts", "ranges"]
LONGEST_SECONDS = 3.0
RESIDENT = """
import pathlib
pages = [int(one.read_text().split()[1]) for one in pathlib.Path('/proc').glob('[0-9]*/statm')]
print(sum(pages) * 4096)
"""


@dataclass(frozen=True)
class Contained:
    """A server in a container."""

    container: Container
    target: Target

    def memory(self) -> int:
        """Resident bytes of all processes in it; the one that looks is among them."""
        return int(self.container.python(RESIDENT))


def limits(engine: Engine) -> list[str]:
    """The memory limit of production, where the engine can keep one."""
    controllers = engine.run("info", "--format", "{{json .}}").stdout
    told = json.loads(controllers)
    able = "memory" in told["host"]["cgroupControllers"] if engine.name == "podman" else told["MemoryLimit"]
    return [f"--memory={LIMIT}"] if able else []


def test_attacks_leave_others_and_the_limit_alone(engine: Engine, image: str) -> None:
    given = limits(engine)
    print(f"{engine.name}: memory limit {'512 MB' if given else 'not kept: this machine has no memory controller'}")
    variables = {"ENVIRONMENT": "production", "RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_ADDRESS_PER_MINUTE": "0"}
    with engine.backend(image, "--cap-drop=ALL", *given, **variables) as running:
        port = int(running.api.url.rpartition(":")[2])
        server = Contained(running.container, furnish(port, TOKEN, long=10, hostile=8))
        idle = look_at_idle(server, 2)
        for name in ATTACKS:
            verdict = besiege(server, name, 2, idle)
            told = f"{name}: {verdict.show()}"
            print(told)
            assert verdict.report["steps"] and not verdict.failures, told
            assert verdict.longest <= LONGEST_SECONDS * crowd(), told
            assert verdict.most_memory <= min(LIMIT, 1.5 * idle.memory + 64 * MEGABYTE), told
            assert verdict.recovery <= RECOVERY_SECONDS * crowd(), told
        state = running.container.state()
        assert state["Running"] and not state.get("OOMKilled")
