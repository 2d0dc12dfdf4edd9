"""A server with something in it, with one worker and with two."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.siege.servers import Server, copy, fill, serving


@pytest.fixture(scope="session")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("siege") / "contents"
    fill(root)
    return root


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def server(
    request: pytest.FixtureRequest, contents: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    root = copy(contents, tmp_path_factory.mktemp("server") / "state")
    with serving(root, request.param) as server:
        yield server
