"""Does an import, batch by batch, from wherever it was left.

A batch is told by the byte it starts at: so many rows from there on, whatever was read in one go. Its tickets and its
receipt are one commit, and the receipt says where the next batch starts. So whoever goes on from an older state of the
record walks along the receipts to where the work really is: no row is lost, and none comes twice.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from backend.domain.attachments import Attachment
from backend.domain.catalogue import Kind, Record
from backend.domain.import_reports import Outcome, Report
from backend.domain.imports import ImportDraft, Plan, caller_of, plan
from backend.domain.jobs import MOST_TRIES, Leased, LeaseLost
from backend.domain.once import AlreadyDone, Once
from backend.domain.tables import Row, rows, written
from backend.domain.tickets import Event, Ticket, Written
from backend.domain.values import Instant, instant, new_id
from backend.errors import NotFound, PreconditionFailed, RecordNotFound, Unavailable, Uncertain
from backend.ports import MOST_ADDED, Ports
from backend.usecases import labels, setup

JOB = "import"
ACTIVE = frozenset({"waiting", "running"})
LEASE_SECONDS = 10.0
NOTED_SECONDS = 1.0
_MOST_ROWS = 400  # of one batch, where nearly all are refused
SLICE = 8  # rows between two turns of the event loop: a millisecond
_NOTICED_SECONDS = 0.001
_LONGEST_REST = 0.1
_RECEIPT_DAYS = 30
_PIECE = 256 * 1024


async def run(ports: Ports, leased: Leased) -> None:
    """Go on with an import until it is over. Raises Unavailable, and then is to be tried again, and LeaseLost."""
    try:
        record = await ports.catalogue.get(Kind.IMPORT, leased.job.body["import_id"])
    except RecordNotFound:
        if leased.tries < 3:
            raise Unavailable("The import has no record yet.") from None
        await ports.uploads.delete(leased.job.body["key"])
        return
    try:
        if record.body["state"] in ACTIVE:
            await _Run(ports, leased, record).to_the_end()
    except PreconditionFailed:
        if await _is_active(ports, record):
            raise LeaseLost from None
        return  # cancelled
    except NotFound:
        await _fail(ports, record, "The table's bytes are gone.")
    except Unavailable:
        if leased.tries >= MOST_TRIES:
            await _fail(ports, record, "Given up: a store could not be used, again and again.")
        raise
    await ports.uploads.delete(record.body["key"])


async def _is_active(ports: Ports, record: Record) -> bool:
    """Whether it goes on in other hands."""
    try:
        return (await ports.catalogue.get(Kind.IMPORT, record.id)).body["state"] in ACTIVE
    except RecordNotFound:
        return False


async def _fail(ports: Ports, record: Record, problem: str) -> None:
    try:
        stored = await ports.catalogue.get(Kind.IMPORT, record.id)
        body = {**stored.body, "state": "failed", "problem": problem, "finished_at": ports.now()}
        if stored.body["state"] in ACTIVE:
            await ports.catalogue.put(stored.with_body(body, ports.now()))
    except (RecordNotFound, PreconditionFailed):
        return


@dataclass(slots=True)
class _Batch:
    """Rows that go into one commit, and where the next batch starts."""

    offset: int
    line: int
    report: Report = field(default_factory=Report)
    tickets: list[Written] = field(default_factory=list)
    files: Sequence[tuple[str, str]] = ()
    """Those of its ticket: one with files has a batch of its own, so that they are one commit."""

    @property
    def full(self) -> bool:
        return bool(self.files) or len(self.tickets) == MOST_ADDED or self.report.read == _MOST_ROWS

    def take(self, row: Row, outcome: Outcome) -> None:
        """One more row."""
        self.offset, self.line = row.end, row.next_line
        self.report.take(outcome)
        if outcome.written:
            self.tickets.append(outcome.written)
            self.files = outcome.files

    def facts(self) -> dict[str, Any]:
        """What the receipt says."""
        return {"offset": self.offset, "line": self.line, **self.report.facts()}


class _Run:
    """One import under a lease."""

    def __init__(self, ports: Ports, leased: Leased, record: Record) -> None:
        self._ports = ports
        self._leased = leased
        self._record = record
        self._plan, self._caller = plan_of(record), caller_of(record.body["caller"])
        self._done: dict[str, Any] = dict(record.body) | {"state": "running"}
        self._report = Report()
        self._report.add(record.body)
        self._noted = time.monotonic()
        self._others, self._begun = 0.0, time.perf_counter()

    async def to_the_end(self) -> None:
        # Whoever comes or goes meanwhile changes no row's fate: one whose assignee is unknown comes in all the same.
        self._plan = replace(self._plan, people=await setup.people(self._ports))
        await self._note()
        while await self._walk():
            pass
        async with aclosing(self._batches()) as batches:
            async for start, batch in batches:
                await self._commit(start, batch)
                await self._make_way()
                if time.monotonic() - self._noted > NOTED_SECONDS:
                    await self._note()
        await self._finish()

    async def _walk(self) -> bool:
        """One receipt on, if there is one: that batch has been done."""
        receipt = await self._ports.tickets.find_receipt(self._key(self._done["offset"]))
        if receipt:
            self._add(json.loads(receipt.answer))
        return receipt is not None

    async def _batches(self) -> AsyncGenerator[tuple[int, _Batch], None]:
        offset, line = self._done["offset"], self._done["line"]
        batch = _Batch(offset, line)
        async with aclosing(read_rows(self._ports, self._record.body, offset, line)) as found:
            async for row in found:
                outcome = judged(self._plan, row, self._caller, self._record.created_at, self._record.id)
                if outcome.files and batch.report.read:
                    yield offset, batch
                    offset, batch = batch.offset, _Batch(batch.offset, batch.line)
                batch.take(row, outcome)
                if batch.report.read % SLICE == 0:
                    await self._turn()
                if batch.full:
                    yield offset, batch
                    offset, batch = batch.offset, _Batch(batch.offset, batch.line)
        if batch.report.read:
            yield offset, batch

    async def _turn(self) -> None:
        """Let the event loop do what else there is, and note how long that took."""
        before = time.perf_counter()
        await asyncio.sleep(0)
        self._others += time.perf_counter() - before

    async def _make_way(self) -> None:
        """Where requests were answered meanwhile, rest for as long as the batch took: they go before."""
        moment = time.perf_counter()
        if self._others > _NOTICED_SECONDS:
            await asyncio.sleep(min(_LONGEST_REST, moment - self._begun))
        self._others, self._begun = 0.0, time.perf_counter()

    async def _commit(self, start: int, batch: _Batch) -> None:
        facts = batch.facts()
        if batch.tickets:
            expires = _in_days(_RECEIPT_DAYS)
            once = Once(self._key(start), self._record.id, expires, lambda _: json.dumps(facts).encode())
            with contextlib.suppress(AlreadyDone):  # before it was cut off: the very same rows
                spelled = await labels.spelled(self._ports, [ticket for ticket, _ in batch.tickets])
                events = [event for _, event in batch.tickets]
                if batch.files:
                    await self._add_with_files(spelled[0], events[0], batch.files, once)
                else:
                    await self._ports.tickets.add_many(list(zip(spelled, events, strict=True)), once)
        self._add(facts)

    async def _add_with_files(self, ticket: Ticket, event: Event, texts: Sequence[tuple[str, str]], once: Once) -> None:
        files = []
        try:
            for name, text in texts:
                stored = await self._ports.uploads.put(_pieces(text.encode("utf-8", "replace")), 2**40)
                files.append(
                    Attachment(
                        id=new_id(),
                        ticket_id=ticket.id,
                        key=stored.key,
                        name=name,
                        content_type="text/plain; charset=utf-8",
                        size=stored.size,
                        sha256=stored.sha256,
                        uploader=self._caller.name,
                        created_at=self._record.created_at,
                        uploader_id=self._caller.address,
                    )
                )
            await self._ports.tickets.add(ticket, files, event, once)
        except BaseException as problem:
            # Bytes without a record cost room, the other way round a file.
            for file in files if not isinstance(problem, Uncertain | asyncio.CancelledError) else ():
                await self._ports.uploads.delete(file.key)
            raise

    def _key(self, offset: int) -> str:
        return f"import:{self._record.id}:{offset}"

    def _add(self, facts: Mapping[str, Any]) -> None:
        self._report.add(facts)
        self._done |= self._report.facts()
        self._done["offset"], self._done["line"] = facts["offset"], facts["line"]

    async def _note(self) -> None:
        """Write down how far it has come, and keep the lease. Raises PreconditionFailed where it was cancelled."""
        moment = time.monotonic()
        self._done["seconds"] = round(self._done["seconds"] + moment - self._noted, 3)
        self._noted = moment
        following = self._record.with_body(dict(self._done), self._ports.now())
        self._record = await self._ports.catalogue.put(following)
        if not await self._ports.jobs.extend(self._leased, LEASE_SECONDS):
            raise LeaseLost

    async def _finish(self) -> None:
        """Keep the refused rows in a file of their own, then say that it is over."""
        await self._note()
        if self._done["refused"]:
            stored = await self._ports.uploads.put(self._kept_alive(refused_rows(self._ports, self._record)), 2**40)
            self._done["refused_file"] = {"key": stored.key, "size": stored.size}
        self._done |= {"state": "done", "finished_at": self._ports.now()}
        try:
            await self._note()
        except BaseException:
            if self._done["refused_file"]:
                await self._ports.uploads.delete(self._done["refused_file"]["key"])
            raise

    async def _kept_alive(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        extended = time.monotonic()
        async for chunk in chunks:
            yield chunk
            if time.monotonic() - extended > LEASE_SECONDS / 3:
                extended = time.monotonic()
                await self._ports.jobs.extend(self._leased, LEASE_SECONDS)


def plan_of(record: Record) -> Plan:
    """How the record says to read its table."""
    body = record.body
    return plan(ImportDraft.model_validate(body["draft"]), body["columns"], body.get("date_order"))


def judged(prepared: Plan, row: Row, caller: Any, at: Instant, import_id: str) -> Outcome:
    """What becomes of the row. By the time the import was made, so that it is the same at any time."""
    if row.cells is None or row.problem:
        return Outcome(None, [("row", row.problem)])
    outcome = prepared.judge(row.cells, caller, at, import_id)
    return outcome._replace(notes=[*outcome.notes, ("row", row.note)]) if row.note else outcome


async def read_rows(ports: Ports, body: Mapping[str, Any], offset: int, line: int) -> AsyncGenerator[Row, None]:
    """The rows of a kept table from a byte on; `body` has its key, size, delimiter and columns."""
    length = body["size"] - offset
    if length > 0:
        chunks = ports.uploads.read(body["key"], offset, length)
        async with aclosing(chunks) as stream:  # type: ignore[type-var]
            async for row in rows(stream, body["delimiter"], offset, line, len(body["columns"])):
                yield row


async def refused_rows(ports: Ports, record: Record) -> AsyncIterator[bytes]:
    """The refused rows as CSV, up to where the import has come: read again, since what is wrong with a row never
    changes."""
    prepared = replace(plan_of(record), people=await setup.people(ports))
    caller = caller_of(record.body["caller"])
    yield written(["line", "reasons", *prepared.columns])
    waiting: list[bytes] = []
    count = 0
    offset, line = record.body["first"]
    async for row in read_rows(ports, record.body, offset, line):
        if row.end > record.body["offset"]:
            break
        outcome = judged(prepared, row, caller, record.created_at, record.id)
        if not outcome.written:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.problems)
            waiting.append(written([row.line, reasons, *(row.cells or ())]))
        count += 1
        if count % SLICE == 0:
            await asyncio.sleep(0)
        if len(waiting) == _MOST_ROWS:
            yield b"".join(waiting)
            waiting = []
    if waiting:
        yield b"".join(waiting)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


def _in_days(days: int) -> Instant:
    return instant((int(time.time()) + days * 86_400) * 1_000_000)
