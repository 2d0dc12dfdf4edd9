"""What the use cases need of the world, in the domain's words.

Every port is shaped so that its weakest engine can fulfil it: one item written whole on condition of its version,
lists by an index with an opaque cursor, no transaction across ports. `once` (see `domain/once.py`) is written with
the item, or the method raises `AlreadyDone` and changes nothing.

Every method may raise `Unavailable`. `tests/contract/` holds the specification that each adapter passes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backend.domain.access import Session, Token
from backend.domain.attachments import Attachment, StoredFile
from backend.domain.catalogue import Act, Kind, Record
from backend.domain.exports import Outcome, Whole
from backend.domain.figures import Figures, Period
from backend.domain.jobs import Job, Leased
from backend.domain.kept import Kept
from backend.domain.labels import Labels
from backend.domain.memories import Memory, MemoryEdit, MemoryQuery
from backend.domain.neighbours import Question
from backend.domain.once import Once, Receipt
from backend.domain.pages import CommentQuery, TicketQuery
from backend.domain.quotas import Amount, Ledger, Limits
from backend.domain.space import Space
from backend.domain.takes import Take, Taken
from backend.domain.tickets import Comment, Edit, EditMany, Event, FoundComment, Position, Ticket, Written
from backend.domain.triage import Opinion
from backend.domain.values import Instant, Page
from backend.domain.webhooks import Answer, Delivery, State

REOPEN_DAYS = 30
MOST_TOGETHER = 50
MOST_FANNED_OUT = 90
MOST_ADDED = 40


class Port(Protocol):
    """What `/health` and the life cycle ask of every port."""

    adapter: str
    """Its name in `/health`, such as `sqlite`."""
    remote: bool
    """Whether it lies outside this container, so that a restart would not mend it."""

    async def probe(self) -> None:
        """Really use it, as a write would. Raises Unavailable with the reason."""

    def open(self) -> None:
        """Make it usable: called once, before the first request. Raises StorageRefused with the reason."""

    def close(self) -> None:
        """Let go of what it holds; nothing acknowledged is lost without this call."""


class Tickets(Port, Protocol):
    """Tickets with their comments, attachments' records and history, and the receipts of idempotent requests."""

    async def add(
        self, ticket: Ticket, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Ticket:
        """Write a new ticket with its attachments' records and first line of history; gives it its number."""

    async def get(self, ticket_id: str) -> Ticket:
        """The ticket, also one in the trash. Raises TicketNotFound."""

    async def update(self, ticket_id: str, edit: Edit, once: Once | None = None) -> Ticket:
        """Replace the ticket by what `edit` makes of it, on condition that nobody wrote between; tried again if so.

        Raises TicketNotFound and what `edit` raises; then nothing has changed.
        """

    async def update_many(
        self, ticket_ids: Sequence[str], edit: EditMany, once: Once | None = None
    ) -> Sequence[Ticket]:
        """The same for up to MOST_TOGETHER tickets, in the order of their ids given: all of them or none."""

    async def take(self, ticket_ids: Sequence[str], decide: Take, once: Once | None = None) -> Taken:
        """Write what `decide` makes of up to MOST_TOGETHER tickets, all of it or nothing: also new tickets, which get
        their numbers, a comment, files' records, and what returns to a ticket, which its line of history then tells.
        On condition that nobody wrote between; tried again if so.

        Raises TicketNotFound and what `decide` raises; then nothing has changed.
        """

    async def list_tickets(self, query: TicketQuery) -> Page[Ticket]:
        """Those that match, a page of them. Raises InvalidCursor."""

    async def add_comment(
        self, comment: Comment, edit: Edit, once: Once | None = None, attachments: Sequence[Attachment] = ()
    ) -> Comment:
        """Write a comment together with what it does to its ticket (see `update`) and its files' records."""

    async def list_comments(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Comment]:
        """Oldest first; the internal ones only if asked for. Raises InvalidCursor."""

    async def search_comments(self, query: CommentQuery) -> Page[FoundComment]:
        """Those that match, on tickets that are not in the trash, the best first. Raises InvalidCursor."""

    async def add_attachments(
        self, attachments: Sequence[Attachment], event: Event, once: Once | None = None
    ) -> Sequence[Attachment]:
        """Write the records of files of one ticket. Raises TicketNotFound."""

    async def list_attachments(self, ticket_id: str) -> Sequence[Attachment]:
        """All of one ticket, oldest first."""

    async def get_attachment(self, ticket_id: str, attachment_id: str) -> Attachment:
        """One record. Raises AttachmentNotFound."""

    async def remove_attachment(self, ticket_id: str, attachment_id: str, event: Event) -> None:
        """Forget one record. Raises AttachmentNotFound."""

    async def list_history(self, ticket_id: str, internal: bool, limit: int, cursor: str | None) -> Page[Event]:
        """Oldest first. Raises InvalidCursor."""

    async def list_events(self, after: int, limit: int) -> Sequence[Position]:
        """The events of all tickets past this position, in the order of commits: none is ever added before another."""

    async def last_position(self) -> int:
        """The position of the newest event; 0 where there is none."""

    async def settled_position(self) -> int:
        """The position of the newest event once nothing that was begun by now is missing before it: what a killed
        writer left is waited for, some seconds at most."""

    async def wait_for_events(self, after: int, seconds: float) -> None:
        """Return once there are events past this position, at the latest after so many seconds: at once for what this
        process commits, within a second for what others do."""

    async def find_receipt(self, key: str) -> Receipt | None:
        """What this idempotency key was used for, if it was and is not forgotten yet."""

    async def add_many(self, written: Sequence[Written], once: Once | None = None) -> Sequence[Ticket]:
        """Write up to MOST_ADDED new tickets, each with its first line of history: all of them or none."""

    async def figures(self, period: Period) -> Figures:
        """What happened in a period, and what is open. Spans are whole hours or quarters of one, so that counters
        can answer; what the trash holds does not count."""

    async def dump(self, after: int, limit: int) -> Sequence[Whole]:
        """The next tickets past a number, in its order, also from the trash; each as it is at one moment."""

    async def dump_these(self, ticket_ids: Sequence[str]) -> Sequence[Whole]:
        """The same for up to MOST_TOGETHER tickets by their ids; those that are not there are left out."""

    async def load(self, wholes: Sequence[Whole]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER tickets as they were elsewhere, numbers and versions included; see `compared`.

        Each whole or not at all; again, it is SAME. New tickets get numbers past every one loaded.
        """

    async def dump_receipts(self, limit: int, cursor: str | None) -> Page[Receipt]:
        """Every receipt that is not forgotten yet, in any order, a page of about so many; it may look at everything."""

    async def load_receipts(self, receipts: Sequence[Receipt]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER receipts as they were elsewhere: ADDED, SAME or OTHER."""


class Catalogue(Protocol):
    """Records of every kind, and the log of administrative acts. Kept where the tickets are."""

    async def get(self, kind: Kind, record_id: str) -> Record:
        """One record. Raises RecordNotFound."""

    async def list_records(self, kind: Kind, limit: int, cursor: str | None) -> Page[Record]:
        """All of a kind, by id, which is oldest first. Raises InvalidCursor."""

    async def put(self, record: Record, act: Act | None = None, once: Once | None = None) -> Record:
        """Write version 1 where there is none, or version n over n - 1. Raises PreconditionFailed, and Conflict where
        another record of the kind has its label."""

    async def remove(self, record: Record, act: Act | None = None) -> None:
        """Remove exactly this version. Raises RecordNotFound, PreconditionFailed."""

    async def log_act(self, act: Act, once: Once | None = None) -> None:
        """Write an act that goes with no record."""

    async def load(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER records as they were elsewhere; a later version is FORWARDED."""

    async def load_acts(self, acts: Sequence[Act]) -> Sequence[Outcome]:
        """The same for acts."""

    async def list_acts(
        self, limit: int, cursor: str | None, action: str | None = None, actor: str | None = None
    ) -> Page[Act]:
        """Newest first; all, or those of one action, one actor, or both. Raises InvalidCursor."""


class Outbox(Protocol):
    """Messages for webhooks, and how far the events have been made into them. Kept where the tickets are."""

    async def position(self) -> int:
        """The last event that has been made into messages, or needed none."""

    async def fan_out(self, before: int, position: int, deliveries: Sequence[Delivery]) -> bool:
        """Write up to MOST_FANNED_OUT messages and move the position, if it is still `before`; else nothing, False."""

    async def add(self, delivery: Delivery, once: Once | None = None) -> Delivery:
        """Write one message that belongs to no event."""

    async def due(self, webhook_ids: Sequence[str], at: Instant) -> Sequence[str]:
        """Those of the webhooks that have a pending message which is due. Cheap: it is asked again and again."""

    async def claim(self, room: Mapping[str, int], at: Instant, until: Instant) -> Sequence[Delivery]:
        """Up to so many due messages of each webhook, each now due at `until` and with one attempt more.

        Nobody else is given them before that.
        """

    async def settle(self, delivery: Delivery) -> bool:
        """Write how an attempt went, unless the message was settled or claimed by somebody else since: then False."""

    async def list_deliveries(
        self, webhook_id: str, state: State | None, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """Newest first. Raises InvalidCursor."""

    async def replay(self, webhook_id: str, delivery_id: str, at: Instant, once: Once | None = None) -> Delivery:
        """Make a message pending and due, as if it had never been tried. Raises RecordNotFound."""

    async def replay_dead(self, webhook_id: str, at: Instant, once: Once | None = None) -> int:
        """The same for every dead one of a webhook; how many there were."""

    async def forget(self, delivered: Instant, others: Instant, orphans: Instant, webhook_ids: Sequence[str]) -> int:
        """Remove some of what is old; how many. Delivered before a moment; dead or still pending from before another;
        and made before a third for webhooks that are none of these."""

    async def drop(self, webhook_id: str) -> None:
        """Forget every message of a webhook."""

    async def load(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER messages as they were elsewhere: ADDED, SAME, or FORWARDED over another state of
        the same message. OTHER says something else."""

    async def counts(self) -> Mapping[State, int]:
        """How many messages there are in each state."""

    async def first_due(self) -> Instant | None:
        """When the pending message that is due first is, or was, due."""


class Sender(Protocol):
    """Posts messages to addresses outside."""

    def check(self, url: str) -> None:
        """Raises Unprocessable where the address may plainly not be sent to."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post once, within a quarter of a minute whatever the other side does. Follows no redirect, never raises."""


class Tokens(Protocol):
    """Bearer tokens and sessions, by the hash of their secret. Kept where the tickets are."""

    async def add(self, token: Token, act: Act, once: Once | None = None) -> Token:
        """Write a new token."""

    async def find(self, secret_hash: str) -> Token | None:
        """The token with this hash, expired or not."""

    async def list_tokens(self) -> Sequence[Token]:
        """All, oldest first."""

    async def remove(self, token_id: str, act: Act) -> None:
        """Revoke at once. Raises TokenNotFound."""

    async def mark_used(self, token_id: str, at: Instant) -> None:
        """Write a later `last_used_at`; nothing where the token is gone or was used later still."""

    async def add_session(self, session: Session, act: Act, once: Once | None = None) -> Session:
        """Write a new session; a store forgets those that have expired, at its leisure."""

    async def find_session(self, secret_hash: str) -> Session | None:
        """The session with this hash; an expired one may be gone."""

    async def renew_session(self, session: Session) -> None:
        """Write a later `used_at` and `expires_at`; nothing where it is gone or was used later still."""

    async def remove_session(self, secret_hash: str, act: Act) -> None:
        """Forget it, and log the act; neither where it is gone already."""

    async def load(self, tokens: Sequence[Token]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER tokens as they were elsewhere: ADDED, SAME or OTHER (also for the hash).

        When it was last used makes no difference.
        """

    async def spend(self, person: str, day: str, amount: Amount, most: Amount) -> bool:
        """Add to what a person has spent on a day; False, and nothing is added, where that would go past `most`."""

    async def spent(self, person: str, day: str) -> Amount:
        """What that is by now."""

    async def dump_sessions(self, limit: int, cursor: str | None) -> Page[Session]:
        """Every session that has not expired, as `Tickets.dump_receipts` does it."""

    async def load_sessions(self, sessions: Sequence[Session]) -> Sequence[Outcome]:
        """Write up to MOST_TOGETHER sessions as they were elsewhere; one that was used later is FORWARDED."""


class Files(Port, Protocol):
    """Bytes under random keys."""

    async def put(self, chunks: AsyncIterator[bytes], limit: int, key: str | None = None) -> StoredFile:
        """Keep the bytes durably, under a new key unless one is given, whose bytes they then replace.

        Raises TooLarge past `limit` bytes, and then, as on any error, keeps nothing.
        """

    async def size(self, key: str) -> int | None:
        """How many bytes there are under a key; None where there are none."""

    def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """`length` bytes from `start`. Raises NotFound, at the first chunk, where the bytes are gone."""

    async def link(self, key: str, content_type: str, disposition: str) -> str | None:
        """An address at which anybody may read the bytes for a while, answered with these two headers; None where the
        bytes are to go through this server."""

    async def delete(self, key: str) -> None:
        """Remove the bytes; no error where they are gone already."""


class Jobs(Port, Protocol):
    """A queue of work to be done once or more often: a job may be handed out again, so doing it must be repeatable.

    A job that nobody finishes within its lease is handed out anew; after MOST_TRIES of that it is dead.
    """

    async def put(self, job: Job, delay: float = 0) -> None:
        """Hand in a job, to be taken after so many seconds at the earliest."""

    async def take(self, lease: float) -> Leased | None:
        """One job that is due, nobody else's for so many seconds; None where there is none."""

    async def extend(self, leased: Leased, lease: float) -> bool:
        """Hold it so many seconds more, from now; False where the lease was lost."""

    async def finish(self, leased: Leased) -> None:
        """It is done; no error where the lease was lost."""

    async def release(self, leased: Leased, delay: float = 0) -> None:
        """Give it back, to be taken after so many seconds; no error where the lease was lost."""

    async def list_dead(self, limit: int) -> Sequence[Job]:
        """Those that were taken MOST_TRIES times and never finished, oldest first."""


class Memories(Port, Protocol):
    """Markdown files with front matter, and an index to find them."""

    async def put(self, memory: Memory, once: Once | None = None) -> Memory:
        """Write or replace the memory with this id. With `once`, the file first and the receipt after it: a repeat
        writes the same file again."""

    async def get(self, memory_id: str) -> Memory:
        """The memory as its file has it now. Raises MemoryNotFound."""

    async def update(self, memory_id: str, edit: MemoryEdit, once: Once | None = None) -> Memory:
        """Replace the memory by what `edit` makes of it, while nobody else writes through this port.

        The receipt of `once` is written after the file, so `edit` must know its own effect again. Raises MemoryNotFound
        and what `edit` raises.
        """

    async def list_memories(self, query: MemoryQuery) -> Page[Memory]:
        """Newest first, or the best matches first if there are terms. Raises InvalidCursor."""

    async def delete(self, memory_id: str, check: Callable[[Memory], None] | None = None) -> None:
        """Remove it, if `check` lets it; no error where it is gone already, unless there is a check to ask."""


class Assistant(Port, Protocol):
    """Says what a ticket may need. It is shown everything it may know, keeps nothing, and its words are checked."""

    async def suggest(self, question: Question) -> Opinion:
        """An opinion, within a time of its own. Raises Unavailable."""


@dataclass(slots=True)
class Turns:
    """Who may do what takes many reads and much CPU: two at a time. `wanted` counts them and those who wait."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the use cases may touch."""

    tickets: Tickets
    tokens: Tokens
    catalogue: Catalogue
    labels: Labels
    outbox: Outbox
    sender: Sender
    uploads: Files
    memories: Memories
    jobs: Jobs
    assistant: Assistant
    limits: Limits
    now: Callable[[], Instant]
    admin_hash: Callable[[], str]
    """The hash of the first administrator's token."""
    backups: Port | None = None
    """Whether backups are taken, where somebody wants to know."""
    reopen_days: int = REOPEN_DAYS
    """For how long an answer reopens what is over; after that it is a new ticket."""
    spaces: Callable[[], Sequence[Space]] = tuple
    """How the volumes stand where this service keeps anything. Raises Unavailable."""
    count: Callable[[str, str], None] = lambda what, outcome: None
    """Told of things worth counting for the operator, such as an attempt and how it went."""
    ledger: Ledger = field(default_factory=Ledger)
    setup: Kept = field(default_factory=Kept)
    """See usecases/setup.py, which alone touches it."""
    judging: Turns = field(default_factory=Turns)
    """See usecases/triage.py, which alone touches it."""

    def named(self) -> Mapping[str, Port]:
        """The ports that `/health` reports, by name."""
        names = ("tickets", "uploads", "memories", "jobs", "assistant", "backups")
        return {name: port for name in names if (port := getattr(self, name))}

    def open(self) -> None:
        """Open every port. Raises StorageRefused."""
        for port in self.named().values():
            port.open()

    def close(self) -> None:
        """Close every port."""
        for port in self.named().values():
            port.close()
