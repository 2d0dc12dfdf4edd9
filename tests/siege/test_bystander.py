"""Every attack on one and on two workers: the others go on, memory stays bounded, and it is soon forgotten.

The bounds here are generous, and more so the more of the machine others use: `python -m tests.bench.siege` prints the
figures themselves.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.siege.attacks import ATTACKS
from tests.siege.bystander import RECOVERY_SECONDS, SLOW, Idle, besiege, look_at_idle
from tests.siege.servers import MEGABYTE, Server, copy, fill, serving

QUIET_SECONDS, ATTACK_SECONDS = 3.0, 2.0
ENOUGH_SECONDS = 0.5
"""A p99 up to this is within bounds, however fast the machine is when it is left alone."""
LONGEST_SECONDS = 3.0
PROXY = {"TRUSTED_PROXIES": "192.0.2.1"}


@pytest.fixture(scope="session")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("siege") / "contents"
    fill(root, **PROXY)
    return root


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(
    request: pytest.FixtureRequest, contents: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = copy(contents, tmp_path_factory.mktemp("server") / "state")
    with serving(root, request.param, **PROXY) as server:
        yield server


@pytest.fixture(scope="module")
def idle(server: Server) -> Idle:
    return look_at_idle(server, QUIET_SECONDS)


def crowd() -> float:
    """How many want each core of this machine, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_else_notices(server: Server, idle: Idle, name: str) -> None:
    verdict = besiege(server, name, ATTACK_SECONDS, idle)
    told = verdict.show()
    assert verdict.report["steps"], told
    assert not verdict.failures, told
    assert verdict.during <= max(SLOW * verdict.quiet, ENOUGH_SECONDS * crowd()), told
    assert verdict.longest <= LONGEST_SECONDS * crowd(), told
    assert verdict.most_memory <= 1.5 * verdict.idle_memory + 64 * MEGABYTE, told
    assert verdict.recovery <= RECOVERY_SECONDS, told
    assert "500" not in verdict.report["statuses"], told
    assert "Traceback" not in server.log()
