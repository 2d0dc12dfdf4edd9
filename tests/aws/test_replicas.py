"""Three real servers on one table and bucket: what a crowd is told stays true while servers die and the network fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests.clouds import Clouds
from tests.conftest import ADMIN_TOKEN
from tests.conftest import variables as directories
from tests.process.test_process import answers, environment, free_port, wait_until
from tests.relay import Relay
from tests.replicas import Crowd

SERVE = [sys.executable, str(Path(__file__).with_name("served.py")), "serve"]


class Replica:
    """A server process of its own, which reaches its stores through relays of its own."""

    def __init__(self, root: Path, clouds: Clouds, given: dict[str, str]) -> None:
        root.mkdir()
        self.root = root
        self.port = free_port()
        self.table, self.bucket, self.queue = Relay(clouds.dynamodb), Relay(clouds.s3), Relay(clouds.s3)
        self._variables = given | {
            **directories(root),
            "API_PORT": str(self.port),
            "RATE_LIMIT_PER_MINUTE": "0",
            "RATE_LIMIT_ADDRESS_PER_MINUTE": "0",
            "AWS_ENDPOINT_URL_DYNAMODB": self.table.address,
            "AWS_ENDPOINT_URL_S3": self.bucket.address,
            "AWS_ENDPOINT_URL_SQS": self.queue.address,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it; it serves when `is_up`."""
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                SERVE, cwd=self.root, env=environment(self.root, **self._variables), stdout=log, stderr=log
            )

    def is_up(self) -> bool:
        """Whether it answers."""
        return answers(self.port)

    def kill(self) -> None:
        """End it in the middle of everything."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Let it finish what it is at; its exit code."""
        return self._end(signal.SIGTERM)

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        assert self._process
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return self._process.wait(30)

    def close(self) -> None:
        """End it for good."""
        if self._process and self._process.poll() is None:
            self.kill()
        for relay in (self.table, self.bucket, self.queue):
            relay.close()


@contextmanager
def replicas(count: int, root: Path, clouds: Clouds, given: dict[str, str]) -> Iterator[list[Replica]]:
    """So many of them, serving."""
    with ExitStack() as stack:
        made = []
        for n in range(count):
            made.append(Replica(root / f"replica-{n}", clouds, given))
            stack.callback(made[-1].close)
            made[-1].start()
        for replica in made:
            wait_until(replica.is_up, 60)
        yield made


@pytest.fixture
def given(clouds: Clouds, aws_variables: dict[str, str]) -> dict[str, str]:
    """What all replicas are told alike: the table and the bucket."""
    CloudSetup(load_settings(aws_variables)).make()
    return {name: value for name, value in aws_variables.items() if not name.endswith("_DIR")}


def test_nothing_that_was_acknowledged_is_lost_doubled_or_out_of_order(
    clouds: Clouds, given: dict[str, str], tmp_path: Path
) -> None:
    with replicas(3, tmp_path, clouds, given) as (one, two, three):
        crowd = Crowd([replica.port for replica in (one, two, three)], ADMIN_TOKEN)
        crowd.start()
        try:
            crowd.go_on()
            one.kill()
            crowd.go_on()
            one.start()
            two.table.cut()
            crowd.go_on()
            three.stop()
            wait_until(one.is_up, 60)
            two.table.mend()
            three.start()
            crowd.go_on()
            two.kill()
            one.table.slow(0.05)
            crowd.go_on()
            two.start()
            three.table.stall()
            crowd.go_on()
            three.table.mend()
            one.table.mend()
            one.bucket.cut()
            two.bucket.stall()
            crowd.go_on()
            one.tell(signal.SIGSTOP)  # longer than readers wait for a block of its
            two.bucket.mend()
            crowd.go_on(30)
            one.tell(signal.SIGCONT)
            one.bucket.mend()
            for replica in (one, two, three):
                replica.table.cut()  # nobody gets through
            before = crowd.failed
            wait_until(lambda: crowd.failed > before + 10, 60)
            for replica in (one, two, three):
                replica.table.mend()
            wait_until(lambda: all(replica.is_up() for replica in (one, two, three)), 60)
            crowd.go_on()
        finally:
            crowd.stop()
        crowd.check()
        print(f"{crowd.acknowledged} acknowledged, {crowd.failed} tried in vain, {len(crowd.imports)} imports")
    assert not list(tmp_path.glob("replica-*/*/*")), "a replica keeps nothing of its own"
    logs = [(tmp_path / f"replica-{n}/log").read_text() for n in range(3)]
    assert not any("Traceback" in log for log in logs), os.linesep.join(logs)[-4000:]
