"""Memories as Markdown files in a bucket, listed and searched through an index in the table."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

from backend.adapters.aws import receipts, words
from backend.adapters.aws import table as limits
from backend.adapters.aws.clients import check_at_start
from backend.adapters.aws.files import VARIABLE, Bucket
from backend.adapters.aws.postings import MEMORIES, Ranking, opened_rank, posting, sealed_rank
from backend.adapters.aws.table import ABSENT, PRESENT, Cancelled, Item, Key, Table, delete, key_of, put
from backend.domain.memories import Memory, MemoryEdit, MemoryQuery, from_markdown, to_markdown
from backend.domain.once import Once
from backend.domain.pages import PageBudget
from backend.domain.search import Condition, Span
from backend.domain.text import folded
from backend.domain.values import Page, instant, open_cursor, seal_cursor
from backend.errors import InvalidCursor, MemoryNotFound, TooLarge, Unavailable

PREFIX = "memories/"
_LARGEST_FILE = 1024 * 1024
_LARGEST_INDEXED = 250_000  # bytes of the text kept in the index's item, which holds 400 KB
_MOST_TRIES = 10
_LOCKS = 32
_MOST_CALLS = 10  # for a page of those that a filter lets through
_MARKDOWN = "text/markdown; charset=utf-8"

logger = logging.getLogger("backend.memories")


class S3Memories:
    """The port `Memories`: the object `memories/<id>.md` is the truth, the index follows it."""

    adapter = "s3+dynamodb"
    remote = True

    def __init__(self, bucket: Bucket, table: Table) -> None:
        self.bucket = bucket
        self._table = table
        # Writes of one process to one memory wait for each other rather than lose to each other.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def open(self) -> None:
        """Ask the bucket once."""
        warning = check_at_start(self.bucket.probe, VARIABLE)
        if warning:
            logger.warning("%s", warning)

    def close(self) -> None:
        """Let running calls finish."""
        self.bucket.cloud.close()

    async def probe(self) -> None:
        """Write an object and remove it."""
        await self.bucket.cloud.hurried().run(self.bucket.probe)

    async def put(self, memory: Memory, once: Once | None = None) -> Memory:
        """See ports.Memories. The file first: an index that lags is better than one that promises too much."""

        def work() -> Memory:
            receipts.refuse_repeat(self._table, once)
            self.bucket.put(_object(memory.id), _bytes(memory), _MARKDOWN)
            self._index(memory.id, memory, once)
            return memory

        return await self._table.cloud.run(work)

    async def get(self, memory_id: str) -> Memory:
        """See ports.Memories."""
        return await self._table.cloud.run(lambda: self._read(memory_id))

    async def update(self, memory_id: str, edit: MemoryEdit, once: Once | None = None) -> Memory:
        """See ports.Memories. Written on condition that the file is still the one that was read, else done again."""

        def work() -> Memory:
            with self._locks[crc32(memory_id.encode()) % len(self._locks)]:
                return tried()

        def tried() -> Memory:
            receipts.refuse_repeat(self._table, once)
            for _ in range(_MOST_TRIES):
                before, tag = self._read_with_tag(memory_id)
                after = edit(before)
                if after is not None and not self.bucket.put(_object(memory_id), _bytes(after), _MARKDOWN, IfMatch=tag):
                    continue
                if after is not None or once is not None:
                    self._index(memory_id, after or before, once)
                return after or before
            raise Unavailable("Too many people change this memory at once; try again.")

        return await self._table.cloud.run(work)

    async def list_memories(self, query: MemoryQuery) -> Page[Memory]:
        """See ports.Memories."""
        return await self._table.cloud.read(lambda: self._listed(query), search=bool(query.terms))

    async def delete(self, memory_id: str, check: Callable[[Memory], None] | None = None) -> None:
        """See ports.Memories."""

        def work() -> None:
            if check:
                check(self._read(memory_id))
            self.bucket.delete(_object(memory_id))
            self._index(memory_id, None, None)

        await self._table.cloud.run(work)

    def _read(self, memory_id: str) -> Memory:
        return self._read_with_tag(memory_id)[0]

    def _read_with_tag(self, memory_id: str) -> tuple[Memory, str]:
        found = self.bucket.get_whole(_object(memory_id), _LARGEST_FILE)
        if found is None:
            raise MemoryNotFound(memory_id)
        data, tag = found
        if len(data) > _LARGEST_FILE:
            raise Unavailable(f"The memory can't be read: {memory_id}.md is larger than {_LARGEST_FILE} bytes.")
        return from_markdown(data.decode("utf-8", "replace"), memory_id, instant(0)), tag

    # ---- The index -------------------------------------------------------------------------------------------------

    def _index(self, memory_id: str, memory: Memory | None, once: Once | None) -> None:
        """Let the index say what the file says, on condition that nobody else wrote it meanwhile."""
        for _ in range(_MOST_TRIES):
            old = self._table.get(_key(memory_id))
            if old is None and memory is None:
                return
            version = old["version"] if old else 0
            before = self._hints(old, self._memory(old)) if old else {}
            item = _item(memory, version + 1) if memory else None
            after = self._hints(item, memory) if item and memory else {}
            held = {"condition": "version = :version", "version": version} if old else {"condition": ABSENT}
            first = put(item, **held) if item else delete(_key(memory_id), **held)
            keeping = receipts.keeping(once, memory)
            added = [one for key, one in after.items() if before.get(key) != one]
            gone = [delete(key) for key in before if key not in after]
            room = limits.MOST_ACTIONS - 1 - len(keeping)
            if len(added) + len(gone) > room:
                self._table.put_many(added)  # words only propose, so they may come first
                added = []
            try:
                self._table.transact([first, *keeping, *map(put, added), *gone[: room - len(added)]])
            except Cancelled as problem:
                if keeping and problem.failed[1]:
                    receipts.refuse_repeat(self._table, once)
                continue
            for key in gone[room - len(added) :]:
                self._table.delete_if((key.item["pk"], key.item["sk"]), PRESENT)
            return
        raise Unavailable("Too many people change this memory at once; try again.")

    def index_anew(self) -> int:
        """Write the words of every memory as this version folds them; how many memories there were."""
        count, start = 0, None
        while True:
            items, start = self._table.query("MEMORIES", index="created", limit=100, start=start)
            for one in items:
                item = self._table.get((one["pk"], one["sk"]))
                if item is not None:
                    self._index_words_anew(item)
                    count += 1
            if start is None:
                return count

    def _index_words_anew(self, item: Item) -> None:
        try:
            memory = self._memory(item)
        except MemoryNotFound:
            return  # the file has just gone, and the rest goes with it
        hints = self._hints(item, memory)
        self._table.put_many(list(hints.values()))
        earlier = words.earlier_text_of(memory.title, memory.body).weights()
        keys = {key_of(posting(MEMORIES, word, item["by_created"], memory.id, 0, 0, 0)) for word in earlier}
        self._table.delete_many(keys - hints.keys())

    def _hints(self, item: Item, memory: Memory) -> dict[Key, Item]:
        text = _text(memory)
        found = [
            posting(MEMORIES, word, item["by_created"], memory.id, weight, text.length, 0)
            for word, weight in text.weights().items()
        ]
        return {key_of(one): one for one in found}

    def _memory(self, item: Item) -> Memory:
        if item.get("long"):
            return self._read(item["id"])
        return Memory(
            item["id"],
            item.get("title", ""),
            item.get("body", ""),
            item.get("category"),
            tuple(json.loads(item["tags"])),
            item.get("ticket_id"),
            item.get("ticket_number"),
            item.get("author", ""),
            item["created_at"],
            item["updated_at"],
            item.get("team"),
            item["helpful"],
            item["unhelpful"],
        )

    def _load(self, ids: Sequence[str]) -> Mapping[str, Memory]:
        found = self._table.get_many(map(_key, ids))
        memories = {}
        for item in found.values():
            try:
                memories[item["id"]] = self._memory(item)
            except MemoryNotFound:
                continue
        return memories

    def _listed(self, query: MemoryQuery) -> Page[Memory]:
        if query.terms is None:
            return self._newest(query)
        search = words.wanted(query.terms)
        after = opened_rank(query.fingerprint, query.cursor) if query.cursor else None
        if not search.phrases:
            return Page([])
        ranking: Ranking[Memory] = Ranking(
            self._load, _text, lambda memory: _fits(query, memory), _order, lambda memory: len(memory.body)
        )
        found, following = ranking.page(self._table, MEMORIES, search, query.limit, after)
        memories = [one.document for one in found]
        return Page(memories, sealed_rank(query.fingerprint, *following) if following else None)

    def _newest(self, query: MemoryQuery) -> Page[Memory]:
        after = _opened(query.fingerprint, query.cursor)
        high = f"{after[:-1]}{chr(ord(after[-1]) - 1)}\U0010ffff" if after else None
        taken: list[Memory] = []
        budget = PageBudget()
        start, where = None, ""
        for _ in range(_MOST_CALLS):
            items, start = self._table.query(
                "MEMORIES", index="created", high=high, forward=False, limit=query.limit + 1, start=start
            )
            found = self._load([item["pk"][2:] for item in items])
            for item in items:
                memory = found.get(item["pk"][2:])
                if memory is None or not _fits(query, memory):
                    continue
                if len(taken) == query.limit or not budget.takes(memory.body):
                    return Page(taken, seal_cursor(query.fingerprint, [where]))
                taken.append(memory)
                where = item["by_created"]
            if start is None:
                return Page(taken)
        return Page(taken, seal_cursor(query.fingerprint, [start["by_created"]["S"]]) if start else None)


def _fits(query: MemoryQuery, memory: Memory) -> bool:
    """Whether it may be listed; a condition on what no memory has lets nothing through."""
    if query.teams and memory.team is not None and folded(memory.team) not in map(folded, query.teams):
        return False
    return all(_holds(condition, memory) for condition in query.also)


def _holds(condition: Condition | Span, memory: Memory) -> bool:
    if isinstance(condition, Span):
        if condition.field not in ("created", "updated"):
            return False
        value = memory.created_at if condition.field == "created" else memory.updated_at
        within = (condition.start is None or value >= condition.start) and (
            condition.end is None or value < condition.end
        )
        return within != condition.excluded
    values: dict[str, tuple[object, ...]] = {
        "category": (memory.category,),
        "team": (memory.team,),
        "number": (memory.ticket_number,),
        "tag": memory.tags,
    }
    if condition.field not in values:
        return False
    wanted = {_compared(value) for value in condition.values}
    return any(_compared(value) in wanted for value in values[condition.field]) != condition.excluded


def _compared(value: object) -> object:
    return folded(value) if isinstance(value, str) else value


def _bytes(memory: Memory) -> bytes:
    text = to_markdown(memory).encode("utf-8", "replace")
    if len(text) > _LARGEST_FILE:
        raise TooLarge(f"A memory may have at most {_LARGEST_FILE // 1024} KiB.")
    return text


def _object(memory_id: str) -> str:
    return f"{PREFIX}{memory_id}.md"


def _key(memory_id: str) -> Key:
    return f"M#{memory_id}", "M"


def _text(memory: Memory) -> words.Text:
    return words.text_of(memory.title, memory.body)


def _place(memory: Memory) -> str:
    return f"{memory.created_at[:40]} {memory.id}"


def _order(place: str) -> int:
    """Newer ones first where the score is the same; two of the same moment by their ids."""
    created_at, _, memory_id = place.partition(" ")
    digits = "".join(c for c in created_at if c in "0123456789")
    return int(digits or 0) * 2**32 + crc32(memory_id.encode())


def _item(memory: Memory, version: int) -> Item:
    long = len(memory.body.encode("utf-8", "replace")) > _LARGEST_INDEXED
    pk, sk = _key(memory.id)
    return {
        "pk": pk,
        "sk": sk,
        "live": "MEMORIES",
        "by_created": _place(memory),
        "version": version,
        "id": memory.id,
        "title": memory.title,
        "body": None if long else memory.body,
        "long": long or None,
        "category": memory.category,
        "tags": json.dumps(memory.tags, ensure_ascii=False),
        "ticket_id": memory.ticket_id,
        "ticket_number": memory.ticket_number,
        "author": memory.author,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
        "team": memory.team,
        "helpful": memory.helpful,
        "unhelpful": memory.unhelpful,
    }


def _opened(query: str, cursor: str | None) -> str | None:
    if not cursor:
        return None
    (place,) = open_cursor(query, cursor, str)
    if not 0 < len(place) <= 200 or not place.isascii():
        raise InvalidCursor
    return str(place)
