"""Lists that people keep: categories, teams, canned replies, views. The same steps for each (domain/collections.py)."""

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Act, Kind, Record, RecordDraft, act, new_record
from backend.domain.collections import REPLIES, Collection
from backend.domain.edits import Versions
from backend.domain.once import Once
from backend.domain.replies import filled
from backend.domain.sla import SlaDraft
from backend.domain.values import Instant, is_id
from backend.errors import Conflict, PreconditionFailed, RecordNotFound
from backend.ports import Ports
from backend.usecases import labels, people, renames, setup
from backend.usecases.tickets import get_ticket

_SLA_ID = "sla"  # there is one


async def list_records(ports: Ports, caller: Caller, collection: Collection) -> list[Record]:
    """All that the caller sees, oldest first."""
    caller.must_be(collection.readers)
    found = await setup.every_record(ports, collection.kind)
    return [record for record in found if collection.may_see(caller, record)]


async def get_record(ports: Ports, caller: Caller, collection: Collection, record_id: str) -> Record:
    """One of them. Raises RecordNotFound."""
    caller.must_be(collection.readers)
    record = await _load(ports, collection.kind, record_id)
    collection.must_see(caller, record)
    return record


async def create_record(
    ports: Ports, caller: Caller, collection: Collection, draft: RecordDraft, once: Once | None = None
) -> Record:
    """Add one. Raises Conflict where its name is taken or there are too many, Unprocessable."""
    caller.must_be(collection.writers)
    draft = (await setup.with_people(ports)).checked(draft)
    draft = await labels.spelled_draft(ports, draft)
    owner = collection.owner(caller)
    await _must_have_room(ports, collection, owner)
    at = ports.now()
    record = new_record(collection.kind, draft.content(), at, owner=owner, label=collection.label(draft, owner))
    done = _act(collection, caller, at, "created", record)
    kept = await _put(ports, record, done, once)
    await labels.spell_record(ports, kept)
    return kept


async def replace_record(
    ports: Ports, caller: Caller, collection: Collection, record_id: str, draft: RecordDraft, if_version: Versions
) -> Record:
    """Let it say this instead; a new name of a category or team goes to all that has the old one.

    Raises RecordNotFound, NotAllowed, PreconditionFailed, Conflict, Unprocessable.
    """
    caller.must_be(collection.writers)
    before = await _owned(ports, caller, collection, record_id, if_version)
    draft = (await setup.with_people(ports)).checked(draft, before)
    draft = await labels.spelled_draft(ports, draft)
    at = ports.now()
    after = before.with_body(draft.content(), at, collection.label(draft, before.owner))
    renaming = renames.renaming(ports, caller, before, after.body.get("name"))
    if renaming:
        renames.must_not_be_another(collection, after, await setup.every_record(ports, collection.kind))
        await renaming.announce()
    kept = await _put(ports, after, _act(collection, caller, at, "changed", after))
    await labels.spell_record(ports, kept)
    if renaming:
        await renaming.begin()
    return kept


async def remove_record(
    ports: Ports, caller: Caller, collection: Collection, record_id: str, if_version: Versions
) -> None:
    """Remove it; tickets keep the names they have. Raises RecordNotFound, NotAllowed, PreconditionFailed."""
    caller.must_be(collection.writers)
    record = await _owned(ports, caller, collection, record_id, if_version)
    await ports.catalogue.remove(record, _act(collection, caller, ports.now(), "removed", record))
    setup.forget(ports, collection.kind)


async def fill_reply(ports: Ports, caller: Caller, ticket_id: str, reply_id: str) -> str:
    """A canned reply's text for this ticket. Raises TicketNotFound, RecordNotFound."""
    caller.must_be(REPLIES.readers)
    ticket = await get_ticket(ports, caller, ticket_id)
    reply = await get_record(ports, caller, REPLIES, reply_id)
    return filled(str(reply.body["body"]), ticket, caller, await people.names(ports))


async def find_sla(ports: Ports) -> Record | None:
    """What is promised, if anything ever was. Everybody may know."""
    try:
        return await ports.catalogue.get(Kind.SLA, _SLA_ID)
    except RecordNotFound:
        return None


async def set_sla(ports: Ports, caller: Caller, draft: SlaDraft, if_version: Versions) -> Record:
    """Promise this from now on; tickets keep the times they have. Raises NotAllowed, PreconditionFailed."""
    caller.must_be(Role.ADMIN)
    before = await find_sla(ports)
    _must_be_at(before.version if before else 0, if_version, "promises are")
    at = ports.now()
    content = draft.model_dump(mode="json")
    after = before.with_body(content, at) if before else new_record(Kind.SLA, content, at, record_id=_SLA_ID)
    return await _put(ports, after, act(caller, at, "sla.changed", _SLA_ID, version=after.version))


async def _put(ports: Ports, record: Record, done: Act | None, once: Once | None = None) -> Record:
    kept = await ports.catalogue.put(record, done, once)
    setup.forget(ports, record.kind)
    return kept


async def _load(ports: Ports, kind: Kind, record_id: str) -> Record:
    if not is_id(record_id):
        raise RecordNotFound(kind, record_id)
    return await ports.catalogue.get(kind, record_id)


async def _owned(ports: Ports, caller: Caller, collection: Collection, record_id: str, if_version: Versions) -> Record:
    record = await _load(ports, collection.kind, record_id)
    collection.must_own(caller, record)
    _must_be_at(record.version, if_version, f"{record.kind} is")
    return record


def _must_be_at(version: int, if_version: Versions, what: str) -> None:
    if if_version is not None and version not in if_version:
        raise PreconditionFailed(f"The {what} at version {version} now; read again before you change anything.")


async def _must_have_room(ports: Ports, collection: Collection, owner: str | None) -> None:
    """Two at once may go one over the limit, which does no harm."""
    found = await setup.every_record(ports, collection.kind)
    if sum(record.owner == owner for record in found) >= collection.most:
        raise Conflict(f"There are {collection.most} {collection.name} already, the most there may be.")


def _act(collection: Collection, caller: Caller, at: Instant, done: str, record: Record) -> Act | None:
    """For the audit log: every change but those of somebody's own."""
    if record.is_of(caller):
        return None
    return act(caller, at, f"{record.kind}.{done}", record.id, label=record.label, version=record.version)
