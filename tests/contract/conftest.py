"""Every port, on the adapters that `--adapters` names."""

from collections.abc import Callable, Iterator

import pytest

from backend.ports import Ports
from tests.conftest import reopening


@pytest.fixture
def opened(stores: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """Opens the ports; called again, it opens them once more on the same state."""
    with reopening(stores) as open_again:
        yield open_again


@pytest.fixture
def ports(opened: Callable[[], Ports]) -> Ports:
    """The ports, open."""
    return opened()
