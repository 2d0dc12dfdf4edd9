"""Every port, on every adapter of it. A new adapter is one more line in ADAPTERS."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import wire
from tests.conftest import variables, with_database

ADAPTERS: dict[str, Callable[[Path], dict[str, str]]] = {"embedded": lambda root: variables(with_database(root))}


@pytest.fixture(params=ADAPTERS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ports]]:
    """Opens the ports; called again, it opens them once more on the same state."""
    held: list[Ports] = []

    def open_again() -> Ports:
        ports = wire(load_settings(ADAPTERS[request.param](tmp_path), Path("/nonexistent")))
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
