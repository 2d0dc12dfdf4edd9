"""Records and the log of administrative acts, in the table."""

import json
from collections.abc import Sequence

from backend.adapters.aws import receipts
from backend.adapters.aws.table import ABSENT, Action, Cancelled, Item, Key, Table, delete, put
from backend.domain.catalogue import Act, Kind, Record, name_taken
from backend.domain.exports import Outcome
from backend.domain.once import AlreadyDone, Once
from backend.domain.values import Page, fingerprint, open_cursor, seal_cursor
from backend.errors import InvalidCursor, PreconditionFailed, RecordNotFound, Unavailable, Uncertain

_END = "\U0010ffff"
_MOST_CALLS = 10  # for a page of acts


class DynamoCatalogue:
    """The port `Catalogue` on a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, kind: Kind, record_id: str) -> Record:
        """See ports.Catalogue."""
        return await self._table.cloud.run(lambda: self._load(kind, record_id))

    async def list_records(self, kind: Kind, limit: int, cursor: str | None) -> Page[Record]:
        """See ports.Catalogue."""
        query = fingerprint("catalogue", kind)
        (after,) = _opened(query, cursor)

        def work() -> Page[Record]:
            low = f"{after} " if after else None
            items, _ = self._table.query(f"CAT#{kind}", low=low, high=_END if low else None, limit=limit + 1)
            records = [_record(item) for item in items[:limit]]
            return Page(records, seal_cursor(query, [records[-1].id]) if len(items) > limit else None)

        return await self._table.cloud.run(work)

    async def put(self, record: Record, act: Act | None = None, once: Once | None = None) -> Record:
        """See ports.Catalogue."""

        def work() -> Record:
            receipts.refuse_repeat(self._table, once)
            first = record.version == 1
            write = put(_item(record), ABSENT) if first else put(_item(record), _VERSION, version=record.version - 1)
            writes = [write, *_labels(record, None if first else self._find(record.kind, record.id))]
            if not commit(self._table, writes, act, once, record):
                self._refuse_taken(record)
                raise _changed(record)
            return record

        return await self._table.cloud.run(work)

    async def remove(self, record: Record, act: Act | None = None) -> None:
        """See ports.Catalogue."""

        def work() -> None:
            removals = [delete(_key(record.kind, record.id), _VERSION, version=record.version)]
            if record.label is not None:
                removals.append(delete(_label_key(record.kind, record.label)))
            if not commit(self._table, removals, act, None, None):
                self._load(record.kind, record.id)
                raise _changed(record)

        await self._table.cloud.run(work)

    async def log_act(self, act: Act, once: Once | None = None) -> None:
        """See ports.Catalogue."""
        await self._table.cloud.run(lambda: commit(self._table, [], act, once, act))

    async def load(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """See ports.Catalogue."""
        return await self._table.cloud.run(lambda: [self._load_one(record) for record in records])

    async def load_acts(self, acts: Sequence[Act]) -> Sequence[Outcome]:
        """See ports.Catalogue."""

        def work() -> list[Outcome]:
            stored = self._table.get_many(("ACTS", act.id) for act in acts)
            outcomes = []
            for act in acts:
                item = stored.get(("ACTS", act.id))
                if item is None:
                    commit(self._table, [], act, None, None)
                    outcomes.append(Outcome.ADDED)
                else:
                    outcomes.append(Outcome.SAME if _act(item) == act else Outcome.OTHER)
            return outcomes

        return await self._table.cloud.run(work)

    async def list_acts(
        self, limit: int, cursor: str | None, action: str | None = None, actor: str | None = None
    ) -> Page[Act]:
        """See ports.Catalogue."""
        query = fingerprint("acts", action, actor)
        (before,) = _opened(query, cursor)
        pk = f"ACTS#actor#{actor}" if actor is not None else "ACTS"
        if action is not None and actor is None:
            pk = f"ACTS#action#{action}"

        def work() -> Page[Act]:
            acts: list[Act] = []
            start, high = None, before[:-1] + chr(ord(before[-1]) - 1) + _END if before else None
            for _ in range(_MOST_CALLS):
                items, start = self._table.query(pk, high=high, forward=False, limit=limit + 1, start=start)
                acts += [_act(item) for item in items if action in (None, item.get("action"))]
                if len(acts) > limit:
                    return Page(acts[:limit], seal_cursor(query, [acts[limit - 1].id]))
                if start is None:
                    return Page(acts)
            return Page(acts, seal_cursor(query, [start["sk"]["S"]]) if start else None)

        return await self._table.cloud.read(work)

    def _load(self, kind: Kind, record_id: str) -> Record:
        found = self._find(kind, record_id)
        if found is None:
            raise RecordNotFound(kind, record_id)
        return found

    def _find(self, kind: Kind, record_id: str) -> Record | None:
        item = self._table.get(_key(kind, record_id))
        return _record(item) if item else None

    def _refuse_taken(self, record: Record) -> None:
        """Raises Conflict where another record has this label."""
        item = self._table.get(_label_key(record.kind, record.label)) if record.label is not None else None
        if item and item["id"] != record.id:
            raise name_taken(record)

    def _load_one(self, record: Record) -> Outcome:
        stored = self._find(record.kind, record.id)
        if stored == record:
            return Outcome.SAME
        if stored and (stored.created_at != record.created_at or stored.version >= record.version):
            return Outcome.OTHER
        write = put(_item(record), _VERSION, version=stored.version) if stored else put(_item(record), ABSENT)
        if not commit(self._table, [write, *_labels(record, stored)], None, None, record):
            return Outcome.OTHER
        return Outcome.FORWARDED if stored else Outcome.ADDED


_VERSION = "version = :version"


def commit(table: Table, writes: Sequence[Action], act: Act | None, once: Once | None, result: object) -> bool:
    """Write all together; False where a condition of `writes` does not hold. Raises AlreadyDone."""
    acts = [put(item) for item in act_items(act)] if act else []
    keeping = receipts.keeping(once, result)
    try:
        table.transact([*writes, *acts, *keeping])
    except Cancelled as problem:
        if keeping and problem.failed[len(writes) + len(acts)]:
            receipt = receipts.find(table, once.key) if once else None
            if receipt:
                raise AlreadyDone(receipt) from None
        return False
    except Unavailable as problem:
        raise Uncertain(str(problem)) from problem
    return True


def act_items(act: Act) -> list[Item]:
    """An act, to be written with what it did: in the list of all, of such acts, and of this person's."""
    item = {
        "sk": act.id,
        "at": act.at,
        "actor": act.actor,
        "token_id": act.token_id,
        "action": act.action,
        "target": act.target,
        "details": json.dumps(act.details, ensure_ascii=False),
    }
    lists = ("ACTS", f"ACTS#action#{act.action}", f"ACTS#actor#{act.actor}")
    return [{"pk": pk, **item} for pk in lists]


def _act(item: Item) -> Act:
    return Act(
        item["sk"],
        item["at"],
        item.get("actor", ""),
        item.get("token_id", ""),
        item.get("action", ""),
        item.get("target", ""),
        json.loads(item["details"]),
    )


def _labels(record: Record, before: Record | None) -> list[Action]:
    """What keeps a label for one record of a kind."""
    old, new = before.label if before else None, record.label
    if old == new:
        return []
    actions = []
    if old is not None:
        actions.append(delete(_label_key(record.kind, old)))
    if new is not None:
        pk, sk = _label_key(record.kind, new)
        actions.append(put({"pk": pk, "sk": sk, "id": record.id}, ABSENT))
    return actions


def _label_key(kind: Kind, label: str) -> Key:
    return f"CATLABEL#{kind}", fingerprint(label)


def _key(kind: Kind, record_id: str) -> Key:
    return f"CAT#{kind}", record_id


def _item(record: Record) -> Item:
    pk, sk = _key(record.kind, record.id)
    return {
        "pk": pk,
        "sk": sk,
        "owner": record.owner,
        "body": json.dumps(record.body, ensure_ascii=False),
        "version": record.version,
        "label": record.label,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def _record(item: Item) -> Record:
    return Record(
        Kind(item["pk"][4:]),
        item["sk"],
        item.get("owner"),
        json.loads(item["body"]),
        item["version"],
        item["created_at"],
        item["updated_at"],
        item.get("label"),
    )


def _opened(query: str, cursor: str | None) -> tuple[str]:
    (position,) = open_cursor(query, cursor, str) if cursor else ("",)
    if len(position) > 100 or (cursor and not position.isascii()) or (cursor and not position):
        raise InvalidCursor
    return (position,)


def _changed(record: Record) -> PreconditionFailed:
    return PreconditionFailed(f"Somebody else has changed the {record.called}; read it again first.")
