"""Every port, on the adapters that `--adapters` names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import wire

# What the adapters for DynamoDB don't fulfil yet, and what DynamoDB Local of 2020 can't (it runs in tests/aws on moto).
_NOT_ON_DYNAMODB = {
    "test_finds_exactly_what_matches_in_every_order[some are]": "the parameter is that of SQLite's search",
    "test_finds_exactly_what_matches_in_every_order[all are]": "the parameter is that of SQLite's search",
    "test_memories.py::test_edits_never_overwrite_each_other": "not shown on moto, whose If-Match is not one step; see README",
    "test_add_many_is_all_or_none_and_once": "DynamoDB Local takes 10 actions in a transaction; see tests/aws",
}


@pytest.fixture(autouse=True)
def _fulfilled(request: pytest.FixtureRequest) -> None:
    names = (request.function.__name__, request.node.name, request.node.nodeid.rpartition("/")[2])
    reason = next((_NOT_ON_DYNAMODB[name] for name in names if name in _NOT_ON_DYNAMODB), None)
    if reason and request.config.getoption("--adapters") == "aws":
        pytest.skip(reason)


@pytest.fixture
def opened(stores: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """Opens the ports; called again, it opens them once more on the same state."""
    held: list[Ports] = []

    def open_again() -> Ports:
        ports = wire(load_settings(stores, Path("/nonexistent")))
        ports.open()
        held.append(ports)
        return ports

    yield open_again
    for ports in held:
        ports.close()


@pytest.fixture
def ports(opened: Callable[[], Ports]) -> Ports:
    """The ports, open."""
    return opened()
