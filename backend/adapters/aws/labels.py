"""How tags, categories and teams are spelled, in the table. What was read counts for some seconds."""

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence

from backend.adapters.aws.table import ABSENT, Item, Key, Table
from backend.domain.labels import Label, LabelKind, Spelling

GOOD_FOR_SECONDS = 2.0
_MOST_KEPT = 10_000
_LONGEST_FOLD = 900  # bytes of a sort key, which takes 1,024


class DynamoLabels:
    """The port `Labels` on a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: dict[Label, tuple[float, Spelling]] = {}
        self._keeping = threading.Lock()

    async def find(self, labels: Sequence[Label]) -> Mapping[Label, Spelling]:
        """See ports.Labels."""
        kept = self._recall(labels)
        if len(kept) == len(set(labels)):
            return kept
        return await self._table.cloud.run(lambda: self._read(labels))

    async def add(self, spellings: Sequence[Spelling]) -> Mapping[Label, Spelling]:
        """See ports.Labels."""
        labels = [one.label for one in spellings]
        known = dict(await self.find(labels))
        missing = {one.label: one for one in reversed(spellings) if one.label not in known}
        if not missing:
            return known

        def work() -> Mapping[Label, Spelling]:
            for one in missing.values():
                self._table.put_if(_item(one), ABSENT)
            return self._read(labels)

        return await self._table.cloud.run(work)

    async def put(self, spellings: Sequence[Spelling]) -> None:
        """See ports.Labels."""
        await self._table.cloud.run(lambda: self._table.put_many([_item(one) for one in spellings]))
        self._keep(spellings)

    async def begin_with(self, kind: LabelKind, prefix: str, limit: int) -> Sequence[Spelling]:
        """See ports.Labels."""

        def work() -> Sequence[Spelling]:
            low, high = (prefix, prefix + "\U0010ffff") if prefix else (None, None)
            items, _ = self._table.query(_partition(kind), low=low, high=high, limit=limit)
            return [_spelling(item) for item in items]

        return await self._table.cloud.read(work)

    async def count(self, kind: LabelKind, names: Sequence[str], most: int) -> Sequence[int]:
        """See ports.Labels. By the indexes, which may lag a little behind: a query for each name."""

        def work() -> Sequence[int]:
            return [self._count(kind, name, most) for name in names]

        return await self._table.cloud.read(work)

    def know(self, asked: Sequence[Spelling]) -> Mapping[Label, Spelling]:
        """Note how a ticket that is written as it was elsewhere spells its labels. Blocks."""
        known = self._read([one.label for one in asked])
        noted = [known[one.label].known_as(one.name) if one.label in known else one for one in asked]
        changed = [one for one in noted if known.get(one.label) != one]
        if changed:
            self._table.put_many([_item(one) for one in changed])
            self._keep(changed)
        return {one.label: one for one in noted}

    def add_all(self, asked: Sequence[Spelling]) -> Mapping[Label, Spelling]:
        """As `add`. Blocks."""
        known = self._read([one.label for one in asked])
        for one in asked:
            if one.label not in known:
                self._table.put_if(_item(one), ABSENT)
        return self._read([one.label for one in asked])

    def _count(self, kind: LabelKind, name: str, most: int) -> int:
        index, value = ("label", f"tag#{name}") if kind is LabelKind.TAG else (kind.value, name)
        items, _ = self._table.query(value, index=index, limit=most)
        return len(items)

    def _read(self, labels: Sequence[Label]) -> dict[Label, Spelling]:
        items = self._table.get_many(map(_key, labels))
        found = {one.label: one for one in map(_spelling, items.values())}
        self._keep(list(found.values()))
        return found

    def _recall(self, labels: Sequence[Label]) -> dict[Label, Spelling]:
        moment = time.monotonic()
        with self._keeping:
            kept = [self._kept.get(label) for label in labels]
        return {one[1].label: one[1] for one in kept if one and one[0] > moment}

    def _keep(self, spellings: Sequence[Spelling]) -> None:
        until = time.monotonic() + GOOD_FOR_SECONDS
        with self._keeping:
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
            self._kept |= {one.label: (until, one) for one in spellings}


def _partition(kind: LabelKind) -> str:
    return f"LABELS#{kind}"


def _key(label: Label) -> Key:
    fold = label.fold
    if len(fold.encode()) > _LONGEST_FOLD:  # a single sign may fold to eighteen letters
        fold = f"{fold[:100]} {hashlib.sha256(fold.encode()).hexdigest()}"
    return _partition(label.kind), fold


def _item(one: Spelling) -> Item:
    pk, sk = _key(one.label)
    others = json.dumps(one.others, ensure_ascii=False)
    return {"pk": pk, "sk": sk, "fold": one.label.fold, "name": one.name, "others": others}


def _spelling(item: Item) -> Spelling:
    kind = LabelKind(item["pk"].removeprefix("LABELS#"))
    return Spelling(Label(kind, item["fold"]), item["name"], tuple(json.loads(item["others"])))
