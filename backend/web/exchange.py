"""The shapes of answers about exports, imports and figures, for the documentation (see schemas.py)."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from backend.domain.imports import ImportDraft
from backend.domain.tickets import Severity, Status
from backend.web.schemas import FieldProblem, PageOut


class CountsOut(BaseModel):
    """How many of each an export holds."""

    tickets: int
    comments: int
    attachments: int
    events: int
    tokens: int
    catalogue: int
    audit: int
    memories: int
    files: int
    file_bytes: int


class TakenOut(BaseModel):
    """What came of an import."""

    read: CountsOut
    added: int = Field(description="records that were not here")
    same: int = Field(description="records that were here already, and the same")
    forwarded: int = Field(description="tickets that were here in an earlier state, and are up to date now")
    files_added: int
    settled: bool = Field(description="false: the export was taken under writes that never paused; see the manifest")


class RemarkOut(BaseModel):
    """Something that holds for some rows of a table."""

    field: str
    message: str
    rows: int


class ReportOut(BaseModel):
    """What became of a table's rows, or would."""

    rows_read: int
    tickets_made: int
    rows_refused: int
    problems: list[RemarkOut] = Field(description="why rows are refused, each thing once, the most frequent first")
    notes: list[RemarkOut] = Field(description="what was done so that rows fit")


class ImportOut(BaseModel):
    """An import of a table, and how far it has come."""

    id: str
    state: str = Field(description="waiting, running, done, cancelled or failed")
    bytes: int
    percent: float
    rows_read: int
    tickets_made: int
    rows_refused: int
    rows_per_second: float | None
    problem: str | None
    report: ReportOut
    mapping: ImportDraft
    created_at: str
    updated_at: str
    finished_at: str | None


class ImportPage(PageOut[ImportOut]):
    """A page of imports."""


class RenameOut(BaseModel):
    """A new name of a tag, category or team, and how far it has been carried to what has the old one."""

    id: str
    state: str = Field(description="waiting, running, done or failed")
    kind: str = Field(description="tag, category or team")
    old: str = Field(alias="from")
    new: str = Field(alias="to")
    merged: bool = Field(description="whether there was one of the new name before")
    tickets_changed: int
    problem: str | None
    created_at: str
    updated_at: str
    finished_at: str | None


class RenamePage(PageOut[RenameOut]):
    """A page of renames."""


class PreviewRow(BaseModel):
    """One row, as it would come in; without a ticket it would be refused."""

    line: int
    ticket: dict[str, Any] | None
    problems: list[FieldProblem]


class UnknownAssigneeOut(BaseModel):
    """An assignee of the table whom nobody here is."""

    name: str
    rows: int


class PreviewOut(BaseModel):
    """How a table would come in."""

    columns: list[str]
    delimiter: str
    mapping: ImportDraft | None = Field(description="the one that was sent, or one by the columns' names")
    date_order: Literal["dmy", "mdy"] | None = Field(description="how 03/04/2026 is read")
    questions: list[FieldProblem] = Field(description="what the mapping must say before the table can come in")
    report: ReportOut = Field(description="what the import would say")
    complete: bool = Field(description="false: the report is of the first 50,000 rows")
    rows: list[PreviewRow] = Field(description="the first 20")
    unknown_assignees: list[UnknownAssigneeOut] = Field(
        description="nobody here has this name or address: their tickets come in unassigned, and the description ends "
        "with the name; map it to somebody's address with `values.assignee`, if it should be"
    )
    rows_looked_at: int = Field(description="the first 50,000 at most")


class DayOut(BaseModel):
    """One day."""

    date: str
    opened: int
    resolved: int
    backlog: int = Field(description="open at the day's end; today: now")


class OpenOut(BaseModel):
    """Active tickets of one severity and status."""

    severity: Severity
    status: Status
    count: int


class TimesOut(BaseModel):
    """How long something took, in seconds."""

    count: int
    median: float | None
    p90: float | None


class KeptOut(BaseModel):
    """Promises whose time came in the period."""

    kept: int
    broken: int


class ShareOut(BaseModel):
    """What happened under one name."""

    name: str
    opened: int
    resolved: int


class StatsOut(BaseModel):
    """Figures of a period."""

    tz: str
    from_: str = Field(alias="from")
    to: str
    days: list[DayOut]
    backlog: list[OpenOut]
    first_answer: TimesOut = Field(description="of tickets opened in the period")
    resolution: TimesOut = Field(description="of tickets resolved in the period")
    first_answer_promises: KeptOut
    resolution_promises: KeptOut
    categories: list[ShareOut]
    teams: list[ShareOut]
    assignees: list[ShareOut]


ANSWERS: tuple[type[BaseModel], ...] = (TakenOut, StatsOut, ImportOut, ImportPage, PreviewOut, RenameOut, RenamePage)
