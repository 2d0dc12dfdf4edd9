"""Attacks on a server on AWS's engines: others go on, and its memory stays bounded."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from tests.siege.bystander import RECOVERY_SECONDS, besiege, crowd, look_at_idle
from tests.siege.servers import MEGABYTE, ROOT, Server, call, free_port, furnish

ATTACKS = ["endless heads", "connections", "small chunks", "guesses"]
LONGEST_SECONDS = 5.0


def test_attacks_leave_others_alone(aws_variables: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    given = {"API_PORT": str(port), "ENVIRONMENT": "production", "TRUSTED_PROXIES": "192.0.2.1"}
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.aws.served", "serve"],
            cwd=ROOT,
            env=os.environ | aws_variables | given,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 60
        while not is_ready(port):
            assert process.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()[-2_000:]
            time.sleep(0.1)
        server = Server(process, tmp_path, furnish(port, tickets=10, long=0, hostile=2))
        idle = look_at_idle(server, 3)
        for name in ATTACKS:
            verdict = besiege(server, name, 2, idle)
            told = f"{name}: {verdict.show()}"
            print(told)
            assert verdict.report["steps"] and not verdict.failures, told
            assert verdict.longest <= LONGEST_SECONDS * crowd(), told
            assert verdict.most_memory <= 1.5 * idle.memory + 64 * MEGABYTE, told
            assert verdict.recovery <= RECOVERY_SECONDS * crowd(), told
    finally:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    with suppress(OSError, HTTPException):
        return call(port, "GET", "/health/ready")[0] == 200
    return False
