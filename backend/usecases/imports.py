"""Tables of tickets from elsewhere: taken in, looked at, and what people ask about them. `import_work.py` does them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.attachments import StoredFile
from backend.domain.catalogue import Kind, Record, act, new_record
from backend.domain.imports import LARGEST_IMPORT, ImportDraft, Plan, guess, plan
from backend.domain.jobs import new_job
from backend.domain.once import Once
from backend.domain.tables import LONGEST_ROW, as_utf8, guess_delimiter, header, rows
from backend.domain.values import Page, is_id, new_id
from backend.errors import Conflict, InvalidInput, RecordNotFound, Unprocessable
from backend.ports import Ports
from backend.usecases import setup
from backend.usecases.import_work import ACTIVE, JOB, refused_rows

PREVIEWED_ROWS = 20
LOOKED_AT = 2_000
_MOST_UNKNOWN = 100
_SLICE = 8  # rows between two turns of the event loop


@dataclass(frozen=True, slots=True)
class Table:
    """What the first bytes of a table show."""

    delimiter: str
    columns: list[str]
    start: int
    line: int


@dataclass(frozen=True, slots=True)
class Preview:
    """How the first rows would come in. Each is (line, the ticket's fields or None, what is wrong)."""

    table: Table
    draft: ImportDraft | None
    rows: list[tuple[int, dict[str, Any] | None, list[tuple[str, str]]]]
    unknown: dict[str, int]
    """Assignees of whom nobody works here, and in how many of the rows that were looked at each stands."""
    looked_at: int


async def store(ports: Ports, caller: Caller, chunks: AsyncIterator[bytes], encoding: str | None) -> StoredFile:
    """Keep a table's bytes, as UTF-8. Raises TooLarge."""
    caller.must_be(Role.ADMIN)
    return await ports.uploads.put(as_utf8(chunks, encoding), LARGEST_IMPORT)


async def start(ports: Ports, caller: Caller, draft: ImportDraft, file: StoredFile, once: Once | None) -> Record:
    """Begin an import of bytes that are kept. Raises Unprocessable (no such column), InvalidInput (empty)."""
    caller.must_be(Role.ADMIN)
    sample = await _head(ports.uploads.read(file.key, 0, min(file.size, LONGEST_ROW))) if file.size else b""
    table = await look(sample, draft.delimiter)
    ready(draft, table.columns)
    at, import_id = ports.now(), new_id()
    body: dict[str, Any] = {
        "state": "waiting",
        "key": file.key,
        "size": file.size,
        "draft": draft.model_dump(mode="json"),
        "columns": table.columns,
        "delimiter": table.delimiter,
        "first": [table.start, table.line],
        "offset": table.start,
        "line": table.line,
        "read": 0,
        "made": 0,
        "refused": 0,
        "caller": asdict(caller),
        "seconds": 0.0,
        "finished_at": None,
        "problem": None,
        "refused_file": None,
    }
    record = new_record(Kind.IMPORT, body, at, record_id=import_id)
    # The job before the record: one without a record ends by itself, a record without a job would wait for ever.
    await ports.jobs.put(new_job(JOB, at, import_id=import_id, key=file.key), delay=0.2)
    done = act(caller, at, "import.started", import_id, bytes=file.size)
    return await ports.catalogue.put(record, done, once)


async def preview(ports: Ports, caller: Caller, draft: ImportDraft | None, sample: bytes) -> Preview:
    """Read the beginning of a table, with a mapping by its columns' names where none is given."""
    caller.must_be(Role.ADMIN)
    table = await look(sample, draft.delimiter if draft else None)
    mapping = guess(table.columns)
    draft = draft or (ImportDraft(columns=mapping) if mapping else None)
    found: list[tuple[int, dict[str, Any] | None, list[tuple[str, str]]]] = []
    unknown: Counter[str] = Counter()
    looked_at = 0
    if draft:
        prepared = replace(ready(draft, table.columns), people=await setup.people(ports))
        async for row in rows(_once(sample[table.start :]), table.delimiter, table.start, table.line):
            if row.cells is None:
                continue
            if looked_at == LOOKED_AT:
                break
            looked_at += 1
            if len(found) < PREVIEWED_ROWS:
                found.append((row.line, *_shown(prepared, row.cells, caller)))
            name = prepared.left_out(row.cells)
            if name and (name in unknown or len(unknown) < _MOST_UNKNOWN):
                unknown[name] += 1
            if looked_at % _SLICE == 0:
                await asyncio.sleep(0)
    return Preview(table, draft, found, dict(unknown), looked_at)


def _shown(prepared: Plan, cells: list[str], caller: Caller) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    outcome = prepared.ticket(cells, caller, "9999", "")
    if isinstance(outcome, tuple):
        ticket = outcome[0]._asdict()
        shown = ("title", "description", "severity", "category", "status", "requester", "assignee", "team", "tags")
        times = {name: ticket[name] for name in ("created_at", "resolved_at") if ticket[name] != "9999"}
        return {**{name: ticket[name] for name in shown}, "resolution": ticket["resolution"], **times}, []
    return None, list(outcome)


async def look(sample: bytes, delimiter: str | None) -> Table:
    """The columns. Raises InvalidInput where there are none."""
    separator = delimiter or guess_delimiter(sample)
    async for row in rows(_once(sample), separator):
        if row.cells is not None and any(cell.strip() for cell in row.cells):
            return Table(separator, header(row), row.end, row.next_line)
        break
    raise InvalidInput("The table is empty, or its first line holds no names of columns.")


def ready(draft: ImportDraft, columns: list[str]) -> Plan:
    """The draft for these columns. Raises Unprocessable."""
    try:
        return plan(draft, columns)
    except KeyError as problem:
        told = [("columns", f"the table has no column {name[:100]!r}") for name in problem.args]
        raise Unprocessable("The mapping names columns that the table does not have.", told) from None


async def get_import(ports: Ports, caller: Caller, import_id: str) -> Record:
    """One import. Raises RecordNotFound."""
    caller.must_be(Role.ADMIN)
    if not is_id(import_id):
        raise RecordNotFound(Kind.IMPORT, import_id)
    return await ports.catalogue.get(Kind.IMPORT, import_id)


async def list_imports(ports: Ports, caller: Caller, limit: int, cursor: str | None) -> Page[Record]:
    """All of them, oldest first."""
    caller.must_be(Role.ADMIN)
    return await ports.catalogue.list_records(Kind.IMPORT, limit, cursor)


async def read_refused(ports: Ports, caller: Caller, import_id: str) -> AsyncIterator[bytes]:
    """The rows that were refused, with line and reasons, as CSV: so far, while it goes on."""
    record = await get_import(ports, caller, import_id)
    file: Mapping[str, Any] | None = record.body["refused_file"]
    if file:
        return ports.uploads.read(file["key"], 0, file["size"])
    if record.body["state"] in ACTIVE:
        return refused_rows(ports, record)
    raise Conflict(f"The import is {record.body['state']}; its table is gone, and with it the refused rows.")


async def cancel(ports: Ports, caller: Caller, import_id: str) -> None:
    """Stop one that goes on, and keep the tickets it made; forget one that is over. Raises PreconditionFailed."""
    record = await get_import(ports, caller, import_id)
    done = act(caller, ports.now(), "import.removed", import_id, state=record.body["state"])
    if record.body["state"] in ACTIVE:
        body = {**record.body, "state": "cancelled", "finished_at": ports.now()}
        await ports.catalogue.put(record.with_body(body, ports.now()), done)
        await ports.uploads.delete(record.body["key"])
        return
    await ports.catalogue.remove(record, done)
    if record.body["refused_file"]:
        await ports.uploads.delete(record.body["refused_file"]["key"])


async def _once(sample: bytes) -> AsyncIterator[bytes]:
    yield sample


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
