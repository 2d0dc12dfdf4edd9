"""Streams of real processes: several writers, several readers, and the end of the process."""

import itertools
import random
import signal
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.process.test_process import TICKET, call, running
from tests.streams import Stream


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_does_not_wait_for_streams_and_readers_resume(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, API_WORKERS=workers) as (process, port):
        streams = [Stream(port) for _ in range(10)]
        for stream in streams:
            stream.hello()
        call(port, "POST", "/api/tickets", TICKET)
        assert {next(stream.events()).id for stream in streams} == {1}
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert all(message.event is None for stream in streams for message in stream), "each stream ends, whole"
        assert process.wait(10) == 0
        assert time.monotonic() - started < 4
        for stream in streams:
            stream.close()
    with running(tmp_path, API_WORKERS=workers) as (_, port):
        call(port, "POST", "/api/tickets", TICKET)
        with Stream(port, last=1) as stream:
            assert next(stream.events()).id == 2
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_every_reader_sees_every_event_once_whatever_process_wrote_it(tmp_path: Path) -> None:
    """Three worker processes write; readers hang up at random and come back to any of them."""
    expected = 240
    with running(tmp_path, API_WORKERS="3") as (_, port):

        def write() -> None:
            for _ in range(expected // 4):
                call(port, "POST", "/api/tickets", TICKET)

        def read(seen: list[int], random_: random.Random) -> None:
            while len(seen) < expected:
                with suppress(OSError, HTTPException), Stream(port, last=seen[-1] if seen else 0) as stream:
                    count = min(random_.randrange(1, 40), expected - len(seen))
                    for message in itertools.islice(stream.events(), count):
                        seen.append(message.id)

        all_seen: list[list[int]] = [[] for _ in range(4)]
        threads = [threading.Thread(target=write) for _ in range(4)]
        threads += [threading.Thread(target=read, args=(seen, random.Random(n))) for n, seen in enumerate(all_seen)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert all(seen == list(range(1, expected + 1)) for seen in all_seen)
