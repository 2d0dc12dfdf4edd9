"""What was learned, from resolved tickets or by agents. Memories quote tickets: none of it is for requesters."""

from backend.domain.access import Caller, Role
from backend.domain.memories import (
    FeedbackDraft,
    Memory,
    MemoryDraft,
    MemoryQuery,
    is_memory_id,
    may_give,
    must_match,
    must_see,
    new_memory,
    rated,
    rewritten,
)
from backend.domain.once import Once
from backend.domain.pages import TicketFilter
from backend.domain.search import Search
from backend.domain.values import Page, fingerprint
from backend.errors import MemoryNotFound
from backend.ports import Ports
from backend.usecases import labels


async def list_memories(ports: Ports, caller: Caller, asked: Search, limit: int, cursor: str | None) -> Page[Memory]:
    """Newest first, or the best matches first; of the caller's teams or of none. Raises InvalidCursor."""
    caller.must_be(Role.AGENT)
    also = (await labels.widened(ports, TicketFilter(also=asked.conditions))).also
    query = MemoryQuery(asked.terms, caller.teams, also, limit, cursor)
    return await ports.memories.list_memories(query)


async def get_memory(ports: Ports, caller: Caller, memory_id: str) -> Memory:
    """One memory. Raises MemoryNotFound."""
    _enter(caller, memory_id)
    memory = await ports.memories.get(memory_id)
    must_see(caller, memory)
    return memory


async def add_memory(ports: Ports, caller: Caller, draft: MemoryDraft, once: Once | None = None) -> Memory:
    """Write down what no ticket taught. Raises NotAllowed."""
    caller.must_be(Role.AGENT)
    draft = await labels.spelled_draft(ports, draft)
    return await ports.memories.put(new_memory(caller, draft, ports.now(), once), once)


async def replace_memory(
    ports: Ports, caller: Caller, memory_id: str, draft: MemoryDraft, if_digest: tuple[str, ...] | None
) -> Memory:
    """Say it anew, whole. Raises PreconditionFailed where the memory is none of `if_digest`."""
    _enter(caller, memory_id)
    draft = await labels.spelled_draft(ports, draft)

    def edit(memory: Memory) -> Memory:
        must_see(caller, memory)
        must_match(memory, if_digest)
        if draft.team != memory.team:
            may_give(caller, draft.team)
        return rewritten(memory, draft, ports.now())

    return await ports.memories.update(memory_id, edit)


async def remove_memory(ports: Ports, caller: Caller, memory_id: str, if_digest: tuple[str, ...] | None) -> None:
    """Forget it. Raises MemoryNotFound, PreconditionFailed."""
    _enter(caller, memory_id)

    def check(memory: Memory) -> None:
        must_see(caller, memory)
        must_match(memory, if_digest)

    await ports.memories.delete(memory_id, check)


async def rate_memory(
    ports: Ports, caller: Caller, memory_id: str, draft: FeedbackDraft, once: Once | None = None
) -> Memory:
    """Count whether it helped. Raises MemoryNotFound."""
    _enter(caller, memory_id)
    key = fingerprint("feedback", once.key)[:16] if once else None

    def edit(memory: Memory) -> Memory | None:
        must_see(caller, memory)
        return rated(memory, draft.helpful, key)

    return await ports.memories.update(memory_id, edit, once)


def _enter(caller: Caller, memory_id: str) -> None:
    """Raises NotAllowed, and MemoryNotFound for what can't be an id at all."""
    caller.must_be(Role.AGENT)
    if not is_memory_id(memory_id):
        raise MemoryNotFound(memory_id)
