"""What it takes to move an installation to other stores: which of two states counts, and whether both sides are the
same in the end."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from backend.domain.access import Session
from backend.domain.catalogue import Kind, Record
from backend.domain.exports import Outcome, Whole, to_line
from backend.domain.once import Receipt
from backend.domain.values import Instant, instant_of
from backend.domain.webhooks import Delivery

SOON = timedelta(minutes=10)
MOST_TOLD = 20
_MOST_OPEN = 100_000
_MODULUS = 2**256

Item = tuple[str, str, bytes]
"""What is compared: its kind, its name within the kind, and its canonical form."""


def compared_session(stored: Session | None, given: Session) -> Outcome:
    """A session only ever changes by being used."""
    if stored is None:
        return Outcome.ADDED
    if stored == given:
        return Outcome.SAME
    if (stored.token_id, stored.bond) != (given.token_id, given.bond):
        return Outcome.OTHER
    return Outcome.FORWARDED if stored.used_at < given.used_at else Outcome.AHEAD


def compared_delivery(stored: Delivery | None, given: Delivery) -> Outcome:
    """The given state counts: a message that is sent once more does no harm, one that is never sent would."""
    if stored is None:
        return Outcome.ADDED
    if stored == given:
        return Outcome.SAME
    same = (stored.webhook_id, stored.body) == (given.webhook_id, given.body)
    return Outcome.FORWARDED if same else Outcome.OTHER


def travelling(record: Record) -> Record:
    """A record as other stores have it. Positions of events start anew there, and a webhook's `since` is one: what
    was before is passed by the outbox, so it may hear of everything after."""
    if record.kind is not Kind.WEBHOOK or "since" not in record.body:
        return record
    return replace(record, body={**record.body, "since": 0})


def lasts(item: Session | Receipt, at: Instant) -> bool:
    """Whether it is worth moving: what is forgotten within minutes could be gone before it is looked at again."""
    return item.expires_at > instant_of(datetime.fromisoformat(at) + SOON)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that some record names; `sha256` where it says that too."""

    key: str
    size: int
    sha256: str | None = None


def files_of(item: Whole | Record) -> list[Stored]:
    """The bytes that a ticket's attachments, or the import of a table, stand for."""
    if isinstance(item, Whole):
        return [Stored(one.key, one.size, one.sha256) for one in item.attachments]
    if item.kind is not Kind.IMPORT:
        return []
    found = [item.body["refused_file"]] if item.body["refused_file"] else []
    if is_under_way(item):
        found.append({"key": item.body["key"], "size": item.body["size"]})
    return [Stored(one["key"], one["size"]) for one in found]


def is_under_way(record: Record) -> bool:
    """Whether it is an import that still has rows before it."""
    return record.kind is Kind.IMPORT and record.body["state"] in ("waiting", "running")


def items_of(whole: Whole) -> Iterable[Item]:
    """A ticket and what hangs on it, to be compared each for itself."""
    yield "tickets", whole.ticket.id, to_line(whole.ticket._asdict())
    for kind, hanging in (("comments", whole.comments), ("attachments", whole.attachments)):
        for one in hanging:
            yield kind, f"{whole.ticket.id} {one.id}", to_line(one)
    for index, event in enumerate(whole.history):
        yield "history", f"{whole.ticket.id} {event.id}", b"%d %b" % (index, to_line(event))


def item_of(kind: str, record: Any) -> Item:
    """Any other record."""
    if isinstance(record, Record):
        return kind, f"{record.kind} {record.id}", to_line(travelling(record))
    name = getattr(record, "id", None) or getattr(record, "hash", None) or record.key
    return kind, hashlib.sha256(name.encode()).hexdigest()[:16] if kind in _SECRET else name, to_line(_shown(record))


_SECRET = ("sessions", "answers")  # their names are hashes of secrets, or chosen by callers


def _shown(record: Any) -> Any:
    if isinstance(record, Receipt):
        return [record.key, record.fingerprint, hashlib.sha256(record.answer).hexdigest(), record.expires_at]
    return record


@dataclass(slots=True)
class Tally:
    """How many there are, and a digest of all of them in whatever order they come."""

    count: int = 0
    total: int = 0

    def add(self, sha256: bytes) -> None:
        """One more. A sum, so that two of the same don't cancel each other out."""
        self.count += 1
        self.total = (self.total + int.from_bytes(sha256)) % _MODULUS

    @property
    def digest(self) -> str:
        """Of all."""
        return f"{self.total:064x}"


@dataclass(slots=True)
class Compared:
    """Both sides of one kind. `_open` holds what only one side has shown so far: little, as both have one order."""

    source: Tally = field(default_factory=Tally)
    target: Tally = field(default_factory=Tally)
    other: list[str] = field(default_factory=list)
    _open: dict[str, tuple[bool, bytes]] = field(default_factory=dict)

    def see(self, name: str, line: bytes, *, at_source: bool) -> None:
        """One side has this."""
        digest = hashlib.sha256(b"%b %b" % (name.encode(), line)).digest()
        (self.source if at_source else self.target).add(digest)
        before = self._open.get(name)
        if before is None or before[0] == at_source:
            if len(self._open) < _MOST_OPEN:
                self._open[name] = (at_source, digest)
            return
        del self._open[name]
        if before[1] != digest and len(self.other) < MOST_TOLD:
            self.other.append(name)

    @property
    def same(self) -> bool:
        """Whether both sides have the very same."""
        return self.source == self.target

    def problems(self) -> list[str]:
        """What is not the same, some of it."""
        open_ = [f"{name} is only in the {'source' if here else 'target'}" for name, (here, _) in self._open.items()]
        return [*(f"{name} is not the same" for name in self.other), *open_][:MOST_TOLD]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found. `lost` are the files whose bytes are gone on both sides."""

    kinds: Mapping[str, Compared]
    lost: int = 0

    def problems(self) -> list[tuple[str, str]]:
        """(kind, what differs) of what is not the same; nothing where all is."""
        found = []
        for kind, compared in self.kinds.items():
            if not compared.same:
                found += [(kind, one) for one in compared.problems() or ["the digests are not the same"]]
        return found[:MOST_TOLD]
