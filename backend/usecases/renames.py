"""Renaming and merging categories, teams and tags: begun here, done by `rename_work.py`, and what people ask of it."""

from dataclasses import asdict
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, Record, act, new_record
from backend.domain.collections import Collection
from backend.domain.jobs import new_job
from backend.domain.labels import LabelKind
from backend.domain.once import Once
from backend.domain.renames import RecordMergeDraft, RenameDraft, label_of, must_be_used
from backend.domain.values import Page, is_id, new_id
from backend.errors import Conflict, RecordNotFound, Unprocessable
from backend.ports import Ports
from backend.usecases.rename_work import JOB, KEPT, settle

AGAIN_SECONDS = 5.0
"""When it is looked once more for what another process wrote that knew only the old name: longer than it may."""
_LABELS = {kept: kind for kind, kept in KEPT.items()}


async def rename_tag(ports: Ports, caller: Caller, draft: RenameDraft, once: Once | None = None) -> Record:
    """Call a tag otherwise. Raises Unprocessable where there is none, or it is called so."""
    caller.must_be(Role.ADMIN)
    old, new = (label_of(LabelKind.TAG, name, field) for name, field in ((draft.old, "from"), (draft.new, "to")))
    known = await ports.labels.find([old.label, new.label])
    must_be_used(LabelKind.TAG, draft.old, draft.new, known.get(old.label))
    there = known.get(new.label)
    merged = there is not None and not there.is_former and old.label != new.label
    return await _start(ports, caller, _body(caller, LabelKind.TAG, known[old.label].name, draft.new, merged), once)


async def merge_record(
    ports: Ports,
    caller: Caller,
    collection: Collection,
    record_id: str,
    draft: RecordMergeDraft,
    once: Once | None = None,
) -> Record:
    """Let another category or team go on in place of this one. Raises RecordNotFound, Unprocessable."""
    caller.must_be(collection.writers)
    source = await _get(ports, collection.kind, record_id)
    if draft.into == record_id:
        raise Unprocessable(f"A {collection.kind} can't be merged into itself.", [("into", "must be another one")])
    try:
        target = await _get(ports, collection.kind, draft.into)
    except RecordNotFound:
        raise Unprocessable(
            f"There is no {collection.kind} to merge it into.", [("into", f"must be the id of a {collection.kind}")]
        ) from None
    body = _body(caller, _LABELS[collection.kind], source.body["name"], target.body["name"], True)
    return await _start(ports, caller, {**body, "dropped": source.id}, once)


def must_not_be_another(collection: Collection, record: Record, records: list[Record]) -> None:
    """Raises Conflict where another one has the name: the two can be merged."""
    for other in records:
        if other.id != record.id and other.label == record.label:
            raise Conflict(
                f"There is already a {collection.kind} called {other.body['name']}. Merge this one into it instead."
            )


class Renaming:
    """The new name of a category or team: told to the queue before the record has it, so that none is forgotten."""

    def __init__(self, ports: Ports, caller: Caller, before: Record, name: str) -> None:
        self._ports, self._caller = ports, caller
        self._body = _body(caller, _LABELS[before.kind], str(before.body["name"]), name, False)
        self._id, self._of = new_id(), before.id

    async def announce(self) -> None:
        await _hand_in(self._ports, self._id, {"of": self._of, "body": self._body})

    async def begin(self) -> Record:
        return await _begin(self._ports, self._caller, self._id, self._body, None)


def renaming(ports: Ports, caller: Caller, before: Record, name: Any) -> Renaming | None:
    """What a change of the record is, besides, where it gives a category or team another name."""
    if before.kind not in _LABELS or before.body["name"] == name:
        return None
    return Renaming(ports, caller, before, str(name))


async def get_rename(ports: Ports, caller: Caller, rename_id: str) -> Record:
    """One of them. Raises RecordNotFound."""
    caller.must_be(Role.ADMIN)
    return await _get(ports, Kind.RENAME, rename_id)


async def list_renames(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Page[Record]:
    """All of them, oldest first."""
    caller.must_be(Role.ADMIN)
    return await ports.catalogue.list_records(Kind.RENAME, limit, cursor)


async def _get(ports: Ports, kind: Kind, record_id: str) -> Record:
    if not is_id(record_id):
        raise RecordNotFound(kind, record_id)
    return await ports.catalogue.get(kind, record_id)


def _body(caller: Caller, kind: LabelKind, old: str, new: str, merged: bool) -> dict[str, Any]:
    return {
        "state": "waiting",
        "kind": kind.value,
        "from": old,
        "to": new,
        "merged": merged,
        "dropped": None,
        "caller": asdict(caller),
        "changed": 0,
        "step": 0,
        "problem": None,
        "finished_at": None,
    }


async def _start(ports: Ports, caller: Caller, body: dict[str, Any], once: Once | None) -> Record:
    rename_id = new_id()
    await _hand_in(ports, rename_id, {})
    return await _begin(ports, caller, rename_id, body, once)


async def _hand_in(ports: Ports, rename_id: str, more: dict[str, Any]) -> None:
    """The job before the record: one without a record ends by itself, a record without a job would wait for ever."""
    at = ports.now()
    await ports.jobs.put(new_job(JOB, at, rename_id=rename_id, **more), delay=0.2)
    await ports.jobs.put(new_job(JOB, at, rename_id=rename_id), delay=AGAIN_SECONDS)


async def _begin(ports: Ports, caller: Caller, rename_id: str, body: dict[str, Any], once: Once | None) -> Record:
    at = ports.now()
    did = "merged" if body["merged"] else "renamed"
    told = {"from": body["from"], "to": body["to"]}
    done = act(caller, at, f"{body['kind']}.{did}", rename_id, **told)
    record = await ports.catalogue.put(new_record(Kind.RENAME, body, at, record_id=rename_id), done, once)
    await settle(ports, record)
    return record
