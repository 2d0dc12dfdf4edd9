"""Every port, on the adapters that `--adapters` names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import wire


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
