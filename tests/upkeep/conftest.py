import asyncio
from pathlib import Path

import pytest

from backend.adapters.embedded.backup import Stores
from backend.domain.tickets import ResolutionDraft
from backend.usecases import tickets
from tests.upkeep.installations import ADMIN, ports_on, stores_in, ticket_with_file


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """An installation with tickets, files and a memory."""
    stores = stores_in(tmp_path / "live")
    ports = ports_on(stores)

    async def fill() -> None:
        for number in range(3):
            identity = await ticket_with_file(ports, b"content %d" % number * 1000)
        desk = await tickets.desk_for(ports, ADMIN)
        await tickets.resolve_ticket(ports, desk, identity, ResolutionDraft(resolution="A new drum"))

    asyncio.run(fill())
    ports.close()
    return stores
