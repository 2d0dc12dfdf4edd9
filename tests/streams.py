"""A real server in a thread, and a reader of server-sent events, for tests of what stays open."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.conftest import ADMIN_TOKEN


@contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """The application on a real port, which is given."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        app.state.hub.close()
        server.should_exit = True
        thread.join()


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@dataclass(frozen=True)
class Message:
    """One message of a stream; without an event it is a sign of life."""

    id: int
    event: str | None
    data: Any


class Stream:
    """An open stream. Iterating gives its messages, and ends where the server ends it."""

    def __init__(
        self,
        port: int,
        token: str = ADMIN_TOKEN,
        last: int | str | None = None,
        query: str = "",
        seconds: float = 10,
    ) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        headers = {"authorization": f"Bearer {token}"}
        if last is not None:
            headers["last-event-id"] = str(last)
        try:
            self.connection.request("GET", f"/api/events{query}", headers=headers)
            self.answer = self.connection.getresponse()
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()

    def __iter__(self) -> Iterator[Message]:
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                data = json.loads(fields["data"]) if "data" in fields else None
                yield Message(int(fields["id"]), fields.get("event"), data)
                fields = {}

    def events(self) -> Iterator[Message]:
        """What happened, without `hello` and signs of life."""
        return (message for message in self if message.event not in (None, "hello"))

    def hello(self) -> Message:
        """The first message."""
        first = next(iter(self))
        assert first.event == "hello"
        return first
