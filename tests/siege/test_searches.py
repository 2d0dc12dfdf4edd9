"""Searches of every shape, one at a time: each is answered, soon, and none by an error of ours."""

import time

from hypothesis import given, settings

from tests.siege.bystander import crowd
from tests.siege.servers import Server, call
from tests.siege.shapes import paths

LONGEST_SECONDS = 2.0


@settings(max_examples=25)
@given(path=paths)
def test_every_search_is_answered_soon(server: Server, path: str) -> None:
    began = time.monotonic()
    status, told = call(server.target.port, "GET", path, token=server.target.token)
    assert status in (200, 400, 422) or (status, path[:6]) == (303, "/queue"), (status, told)
    assert time.monotonic() - began <= LONGEST_SECONDS * crowd(), path
