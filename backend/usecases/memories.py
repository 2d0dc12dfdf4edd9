"""What was learned from resolved tickets."""

from backend.domain.access import Caller, Role
from backend.domain.memories import Memory, is_memory_id
from backend.domain.search import Term
from backend.domain.values import Page
from backend.errors import MemoryNotFound
from backend.ports import Ports


async def list_memories(
    ports: Ports, caller: Caller, terms: tuple[Term, ...] | None, limit: int, cursor: str | None
) -> Page[Memory]:
    """Newest first, or the best matches first. For agents: memories quote tickets. Raises InvalidCursor."""
    caller.must_be(Role.AGENT)
    return await ports.memories.list_memories(terms, limit, cursor)


async def get_memory(ports: Ports, caller: Caller, memory_id: str) -> Memory:
    """One memory. Raises MemoryNotFound."""
    caller.must_be(Role.AGENT)
    if not is_memory_id(memory_id):
        raise MemoryNotFound(memory_id)
    return await ports.memories.get(memory_id)
