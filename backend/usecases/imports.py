"""Tables of tickets from elsewhere: taken in, looked at, and what people ask about them. `import_work.py` does them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.domain.access import Caller, Role
from backend.domain.attachments import StoredFile
from backend.domain.catalogue import Kind, Record, act, new_record
from backend.domain.import_reports import Outcome, Report
from backend.domain.import_times import OrderFinder
from backend.domain.imports import LARGEST_IMPORT, ImportDraft, Plan, guess, plan
from backend.domain.jobs import new_job
from backend.domain.once import Once
from backend.domain.tables import LONGEST_ROW, as_utf8, guess_delimiter, header, rows, separator_line
from backend.domain.values import Instant, Page, is_id, new_id
from backend.errors import Conflict, InvalidInput, RecordNotFound, Unprocessable
from backend.ports import Ports
from backend.usecases import setup
from backend.usecases.import_work import ACTIVE, JOB, SLICE, judged, read_rows, refused_rows

PREVIEWED_ROWS = 20
MOST_REHEARSED = 50_000
_MOST_UNKNOWN = 100


@dataclass(frozen=True, slots=True)
class Table:
    """What the first bytes of a table show."""

    delimiter: str
    columns: list[str]
    start: int
    line: int


Shown = tuple[int, dict[str, Any] | None, list[tuple[str, str]]]


@dataclass(slots=True)
class Preview:
    """How a table would come in: its first rows as (line, the ticket's fields or None, what is wrong), and the report
    of all of them, or of the first MOST_REHEARSED. `question` is what has to be said before it can come in at all."""

    table: Table
    draft: ImportDraft | None
    order: str | None = None
    question: str | None = None
    rows: list[Shown] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    complete: bool = True
    unknown: dict[str, int] = field(default_factory=dict)
    """Assignees of whom nobody works here, and in how many rows each stands."""


async def store(ports: Ports, caller: Caller, chunks: AsyncIterator[bytes], encoding: str | None) -> StoredFile:
    """Keep a table's bytes, as UTF-8. Raises TooLarge."""
    caller.must_be(Role.ADMIN)
    return await ports.uploads.put(as_utf8(chunks, encoding), LARGEST_IMPORT)


async def start(ports: Ports, caller: Caller, draft: ImportDraft, file: StoredFile, once: Once | None) -> Record:
    """Begin an import of bytes that are kept. Raises Unprocessable (no such column, times that can be read in two
    ways), InvalidInput (empty)."""
    caller.must_be(Role.ADMIN)
    table = await _look_at(ports, file, draft)
    order, question = await _find_order(ports, file, table, ready(draft, table.columns))
    if question:
        raise Unprocessable("The table has times that can be read in two ways.", [("date_order", question)])
    at, import_id = ports.now(), new_id()
    body: dict[str, Any] = {
        "state": "waiting",
        "key": file.key,
        "size": file.size,
        "draft": draft.model_dump(mode="json"),
        "columns": table.columns,
        "delimiter": table.delimiter,
        "date_order": order,
        "first": [table.start, table.line],
        "offset": table.start,
        "line": table.line,
        "read": 0,
        "made": 0,
        "refused": 0,
        "told": [],
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


async def rehearse(ports: Ports, caller: Caller, draft: ImportDraft | None, file: StoredFile) -> Preview:
    """What an import of bytes that are kept would say, with a mapping by the columns' names where none is given. It
    reads and judges as the import does. Raises Unprocessable (no such column), InvalidInput (empty)."""
    caller.must_be(Role.ADMIN)
    table = await _look_at(ports, file, draft)
    mapping = guess(table.columns)
    draft = draft or (ImportDraft(columns=mapping) if mapping else None)
    found = Preview(table, draft)
    if draft is None:
        return found
    found.order, found.question = await _find_order(ports, file, table, ready(draft, table.columns))
    prepared, at = plan(draft, table.columns, found.order, await setup.people(ports)), ports.now()
    async for row in read_rows(ports, _body(file, table), table.start, table.line):
        if found.report.read == MOST_REHEARSED:
            found.complete = False
            break
        outcome = judged(prepared, row, caller, at, "")
        found.report.take(outcome)
        name = outcome.left_out
        if name and (name in found.unknown or len(found.unknown) < _MOST_UNKNOWN):
            found.unknown[name] = found.unknown.get(name, 0) + 1
        if len(found.rows) < PREVIEWED_ROWS:
            found.rows.append((row.line, *_shown(outcome, at)))
        if found.report.read % SLICE == 0:
            await asyncio.sleep(0)
    return found


async def _find_order(ports: Ports, file: StoredFile, table: Table, prepared: Plan) -> tuple[str | None, str | None]:
    """How the table's times are to be read, and what has to be asked about that."""
    if prepared.order:
        return prepared.order, None
    finder = OrderFinder()
    finder.take(prepared.default_times())
    count = 0
    async for row in read_rows(ports, _body(file, table), table.start, table.line):
        if row.cells is not None:
            finder.take(prepared.times(row.cells))
        count += 1
        if count % (16 * SLICE) == 0:
            await asyncio.sleep(0)
    return finder.order, finder.question


def _body(file: StoredFile, table: Table) -> dict[str, Any]:
    return {"key": file.key, "size": file.size, "delimiter": table.delimiter, "columns": table.columns}


def _shown(outcome: Outcome, at: Instant) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    if not outcome.written:
        return None, list(outcome.problems)
    ticket = outcome.written[0]._asdict()
    shown = ("title", "description", "severity", "category", "status", "requester", "assignee", "team", "tags")
    times = {name: ticket[name] for name in ("created_at", "resolved_at") if ticket[name] != at}
    return {**{name: ticket[name] for name in shown}, "resolution": ticket["resolution"], **times}, []


async def _look_at(ports: Ports, file: StoredFile, draft: ImportDraft | None) -> Table:
    sample = await _head(ports.uploads.read(file.key, 0, min(file.size, LONGEST_ROW))) if file.size else b""
    return await look(sample, draft.delimiter if draft else None)


async def look(sample: bytes, delimiter: str | None) -> Table:
    """The columns. Raises InvalidInput where there are none."""
    said, start = separator_line(sample)
    separator = delimiter or said or guess_delimiter(sample)
    async for row in rows(_once(sample[start:]), separator, start, 2 if start else 1):
        if row.cells is not None and any(cell.strip() for cell in row.cells):
            return Table(separator, header(row), row.end, row.next_line)
        if row.problem:
            raise InvalidInput(f"The table's first row holds no names of columns: {row.problem}.")
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
