"""Several replicas of the image behind a proxy, on one table, bucket and queue: nobody notices when one goes.

Needs DynamoDB Local within reach of the engine's machine; `backend/scripts/test.sh` sees to it in the lab.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds import Clouds
from tests.containers.engines import TOKEN, Engine, wait_until
from tests.containers.fleet import Fleet, fleet
from tests.replicas import TICKET, Crowd, Silence, ask

SECONDS_OF_LOAD = 3.0  # before and after each replica is replaced


@pytest.fixture
def replicas(
    engine: Engine, image: str, clouds: Clouds, aws_variables: dict[str, str], tmp_path: Path
) -> Iterator[Fleet]:
    """Three of them, ready."""
    with fleet(engine, image, tmp_path / "fleet", clouds, aws_variables) as made:
        yield made


def test_nothing_that_was_acknowledged_is_lost_doubled_or_out_of_order(replicas: Fleet) -> None:
    one, two, three = replicas.replicas
    crowd = Crowd([replicas.port], TOKEN)
    crowd.start()
    try:
        crowd.go_on()
        one.kill()
        crowd.go_on()
        one.start()
        two.table.cut()
        crowd.go_on()
        three.stop()
        wait_until(lambda: one.name in replicas.ready(), 60, "the killed replica to be ready again")
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
        two.hold()
        crowd.go_on(30)
        two.go()
        for replica in replicas.replicas:
            replica.table.cut()
        wait_until(lambda: not replicas.ready(), 60, "all replicas to be out")
        for replica in replicas.replicas:
            replica.table.mend()
        replicas.wait_ready(3)
        crowd.go_on()
    finally:
        crowd.stop()
    crowd.check()


def test_replacing_every_replica_under_load_fails_no_request(replicas: Fleet) -> None:
    """The procedure of backend/adapters/aws/README.md: drain one, stop it, start its successor, wait until it is ready."""
    load = _Load(replicas.port)
    try:
        for replica in replicas.replicas:
            load.go_on(SECONDS_OF_LOAD)
            replicas.tell(f"set server replicas/{replica.name} state drain")
            wait_until(lambda name=replica.name: replicas.stats(name)["scur"] == "0", 30, "requests to finish")
            replica.stop()
            replica.start()
            replicas.tell(f"set server replicas/{replica.name} state ready")
            wait_until(lambda name=replica.name: name in replicas.ready(), 60, "the new one")
        load.go_on(SECONDS_OF_LOAD)
    finally:
        load.stop()
    assert load.answered > 50
    assert not load.failures, (len(load.failures), load.answered, load.failures[:3])
    print(f"{load.answered} requests, none failed")


class _Load:
    """Clients that file and read, and try nothing twice."""

    def __init__(self, port: int, clients: int = 3) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def go_on(self, seconds: float) -> None:
        """Let it run for a while, and at least for some answers."""
        before, until = self.answered, time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > until and self.answered > before + 10, 60, "answers")

    def stop(self) -> None:
        """Let everybody finish."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        while not self._stopping.is_set():
            made = self._ask("POST", "/api/tickets", TICKET, 201)
            if made:
                self._ask("GET", f"/api/tickets/{made['id']}", None, 200)

    def _ask(self, method: str, path: str, body: object, wanted: int) -> dict | None:
        try:
            answer = ask(self._port, TOKEN, method, path, body, seconds=30)
        except Silence as problem:
            self.failures.append(f"{method}: {problem}")
            return None
        if answer.status != wanted:
            self.failures.append(f"{method}: {answer}")
            return None
        self.answered += 1
        return answer.json
