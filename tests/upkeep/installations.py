"""An installation in a folder, and what is done with it."""

from pathlib import Path

from backend.adapters.embedded.backup import Stores
from backend.domain.access import Caller, Role
from backend.domain.tickets import TicketDraft
from backend.ports import Ports
from backend.settings import load_settings
from backend.usecases import tickets
from backend.usecases.attachments import Uploads
from backend.wiring import wire

ADMIN = Caller("t", "Ada", Role.ADMIN, "ada@example.org")
DRAFT = TicketDraft(title="Printer", description="Blank pages", severity="low", category="Hardware")


def stores_in(root: Path) -> Stores:
    return Stores(root / "data", root / "uploads", root / "memories")


def ports_on(stores: Stores) -> Ports:
    names = {"DATA_DIR": stores.data, "UPLOAD_DIR": stores.uploads, "MEMORY_DIR": stores.memories}
    ports = wire(load_settings({name: str(path) for name, path in names.items()}))
    ports.open()
    return ports


async def ticket_with_file(ports: Ports, content: bytes) -> str:
    async def chunks():
        yield content

    uploads = Uploads(ports, ADMIN)
    await uploads.take("file.bin", None, chunks())
    return (await tickets.open_ticket(ports, ADMIN, DRAFT, uploads.files)).id
