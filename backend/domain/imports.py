"""A row of somebody else's table as a ticket: which column is which field, and what its words mean here."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from backend.domain.access import ADMIN, Caller, Role
from backend.domain.addresses import TOKEN, is_address, normal
from backend.domain.import_reports import Outcome
from backend.domain.import_texts import cut, fit, short_title
from backend.domain.import_times import DMY, MDY, read_time
from backend.domain.import_words import as_word, is_nobody, is_none, is_unresolved, severity_of, status_of
from backend.domain.labels import EXTERNAL_TAG
from backend.domain.people import People
from backend.domain.reasons import reason_of
from backend.domain.text import clean_line, folded
from backend.domain.tickets import (
    ACTIVE,
    MOST_TAGS,
    ResolutionDraft,
    Severity,
    Status,
    TicketDraft,
    Written,
    event,
    new_ticket,
)
from backend.domain.values import LONGEST_PROSE, Instant

LARGEST_IMPORT = 1024 * 1024 * 1024
FORMER_ASSIGNEE = "Assignee before the import: "
_LONGEST_TITLE = 200
_LONGEST_TAG = 50
_LONGEST_WORD = 60  # of a table's, in a message
_NOBODYS = "the ticket comes in unassigned, and its description says who it was"


class Target(StrEnum):
    """A field that a column can fill."""

    TITLE = "title"
    DESCRIPTION = "description"
    SEVERITY = "severity"
    CATEGORY = "category"
    REQUESTER = "requester"
    ASSIGNEE = "assignee"
    TEAM = "team"
    TAGS = "tags"
    STATUS = "status"
    CREATED_AT = "created_at"
    RESOLVED_AT = "resolved_at"
    RESOLUTION = "resolution"
    EXTERNAL_ID = "external_id"


_SEVERAL = frozenset({Target.DESCRIPTION, Target.TAGS})
Encoding = Literal[
    "utf-8",
    "utf-16",
    "windows-1252",
    "macintosh",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "shift_jis",
    "gb18030",
]
_Text = Annotated[str, StringConstraints(max_length=500)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone; say a name such as Europe/Zurich") from None
    return name


def _once_each(columns: Mapping[str, Target]) -> Mapping[str, Target]:
    single = [target for target in columns.values() if target not in _SEVERAL]
    if len(single) != len(set(single)):
        raise ValueError("only description and tags may be made of several columns")
    return columns


class ImportDraft(BaseModel):
    """How to read a table. `values` says what a word in it means here; upper and lower case are the same."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "columns": {"Number": "external_id", "Short description": "title", "Priority": "severity"},
                    "values": {"severity": {"P1": "critical", "P2": "high"}, "status": {"Done": "closed"}},
                    "defaults": {"category": "Imported"},
                    "tz": "Europe/Zurich",
                }
            ]
        },
    )

    columns: Annotated[dict[_Text, Target], Field(min_length=1, max_length=200), AfterValidator(_once_each)] = Field(
        description="column → field"
    )
    values: dict[Target, Annotated[dict[_Text, _Text], Field(max_length=1_000)]] = Field(
        default={}, description="field → word in the table → word here"
    )
    defaults: dict[Target, _Text] = Field(default={}, description="field → what an empty or missing cell stands for")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(default=None, description="told by the content, if left out")
    encoding: Encoding | None = Field(
        default=None, description="UTF-8, UTF-16 and Windows-1252 are told by the content, if left out"
    )
    tag_separator: Annotated[str, StringConstraints(min_length=1, max_length=5)] = ","
    date_order: Literal["dmy", "mdy"] | None = Field(
        default=None,
        description="how 03/04/2026 is read; told by the table's other times, if left out, and asked for if they don't",
    )
    day_first: bool | None = Field(default=None, description="an older name: true is `dmy`, false is `mdy`")
    tz: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="of times without an offset")

    @property
    def order(self) -> str | None:
        """How 03/04/2026 is read, if that was said."""
        if self.date_order or self.day_first is None:
            return self.date_order
        return DMY if self.day_first else MDY


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft, made ready for one table. `order` is how 03/04/2026 is read there."""

    draft: ImportDraft
    columns: tuple[str, ...]
    places: tuple[tuple[int, Target], ...]
    words: Mapping[Target, Mapping[str, str]]
    zone: ZoneInfo
    order: str | None
    people: People = field(default_factory=People)
    """Those who can be assigned here."""

    def times(self, cells: Sequence[str]) -> list[str]:
        """What a row says of times: its order is to be found."""
        return [cells[place] for place, target in self.places if target in _TIMES and place < len(cells)]

    def default_times(self) -> list[str]:
        """What stands for times that are missing."""
        return [text for target, text in self.draft.defaults.items() if target in _TIMES]

    def judge(self, cells: Sequence[str], caller: Caller, at: Instant, import_id: str) -> Outcome:
        """The ticket of a row, or what is wrong with it, field by field. The same whenever it is asked, but for ids."""
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            return Outcome(None, [("row", f"has {len(cells)} cells; the table has {len(self.columns)} columns")])
        row = _Row()
        self._read(cells, row)
        for target in _TIMES:
            try:
                row.times[target] = read_time(row.found.pop(target, ""), self.order, self.zone, at)
            except ValueError as problem:
                row.problems.append((target, str(problem)))
        left_out = self._assign(row)
        written = _written(row, caller, at, import_id)
        if row.problems:
            return Outcome(None, row.problems, (), left_out)
        return Outcome(written, (), row.notes, left_out, row.files)

    def _assign(self, row: "_Row") -> str | None:
        """The row's assignee where nobody here is meant by it: then the ticket is nobody's, and its description says
        who it was."""
        name = row.found.pop(Target.ASSIGNEE, None)
        known = self.people.known(name) if name else None
        if known is not None:
            row.found[Target.ASSIGNEE] = known
        elif name:
            row.last = f"{FORMER_ASSIGNEE}{name}"
            row.notes.append(
                (Target.ASSIGNEE, f"no agent has the name or address {clean_line(name)[:_LONGEST_WORD]!r}: {_NOBODYS}")
            )
            return str(name)
        return None

    def _read(self, cells: Sequence[str], row: "_Row") -> None:
        """What the cells say, in our words."""
        found = row.found
        for place, target in self.places:
            text = cells[place].strip() if place < len(cells) else ""
            if not text:
                continue
            text = self._word(target, text)
            if not text:
                continue
            if target is Target.TAGS:
                # No tag holds a comma, whatever else parts them here.
                parts = (part.strip() for part in text.replace(self.draft.tag_separator, ",").split(","))
                found.setdefault(target, []).extend(part for part in parts if part)
            elif target not in found:
                found[target] = text
            elif target is Target.DESCRIPTION:
                found[target] = f"{found[target]}\n\n{text}"
            elif text != found[target]:
                row.extras.append(f"{self.columns[place]}: {text}")
                row.notes.append((target, "has several columns: the first is taken, the others are in the description"))
        for target, text in self.draft.defaults.items():
            if not found.get(target):
                found[target] = text.split(self.draft.tag_separator) if target is Target.TAGS else text

    def _word(self, target: Target, text: str) -> str:
        words = self.words.get(target)
        known = words.get(as_word(text)) if words else None
        if known is not None:
            return known
        if target in _WORDY:
            return text if clean_line(text) else ""
        if is_none(text) or (target in _PEOPLE and is_nobody(text)):
            return ""
        if target is Target.RESOLUTION and is_unresolved(text):
            return ""
        return text


@dataclass(slots=True)
class _Row:
    """What a row says, while it is read. `extras` go into the description."""

    found: dict[Target, Any] = field(default_factory=dict)
    times: dict[Target, Instant | None] = field(default_factory=dict)
    extras: list[str] = field(default_factory=list)
    last: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)


def plan(draft: ImportDraft, columns: Sequence[str], order: str | None = None, people: People | None = None) -> Plan:
    """The draft for a table with these columns; a column that is there several times fills its field with all of them.

    `order` is what the table shows of its times, `people` are those to assign to. Raises KeyError with the columns that
    it does not have.
    """
    named = {clean_line(name) for name in draft.columns}
    found = {name: _places(name, columns, named) for name in draft.columns}
    missing = [name for name, places in found.items() if not places]
    if missing:
        raise KeyError(*missing)
    places = tuple((place, target) for name, target in draft.columns.items() for place in found[name])
    words = {target: {as_word(word): ours for word, ours in known.items()} for target, known in draft.values.items()}
    return Plan(draft, tuple(columns), places, words, ZoneInfo(draft.tz), draft.order or order, people or People())


def _places(name: str, columns: Sequence[str], named: Collection[str]) -> list[int]:
    """Where a column stands: by its name, else by the same in another case or width that nobody named."""
    cleaned = [clean_line(column) for column in columns]
    exact = [place for place, column in enumerate(cleaned) if column == clean_line(name)]
    word = as_word(name)
    return exact or [place for place, one in enumerate(cleaned) if one not in named and as_word(one) == word]


_USUAL = {Target.SEVERITY: Severity.MEDIUM, Target.CATEGORY: "General", Target.STATUS: Status.OPEN}
_TIMES = (Target.CREATED_AT, Target.RESOLVED_AT)
_WORDY = frozenset({Target.TITLE, Target.DESCRIPTION})  # where `none` is somebody's own word
_PEOPLE = frozenset({Target.REQUESTER, Target.ASSIGNEE, Target.TEAM})


def _written(row: _Row, caller: Caller, at: Instant, import_id: str) -> Written | None:
    """The ticket; None where it has problems."""
    values = {**_USUAL, **row.found}
    status, resolution = _known(row, Target.STATUS, values.pop(Target.STATUS)), values.pop(Target.RESOLUTION, None)
    values[Target.SEVERITY] = _known(row, Target.SEVERITY, values[Target.SEVERITY])
    values[Target.TAGS] = _fitting_tags(row, values.get(Target.TAGS, ()), values.pop(Target.EXTERNAL_ID, None))
    values[Target.TITLE], values[Target.DESCRIPTION] = _fitting_texts(row, values)
    try:
        draft = TicketDraft.model_validate({str(name): value for name, value in values.items()})
        if resolution is not None:
            resolution = ResolutionDraft(resolution=_fitting(row, Target.RESOLUTION, resolution)).resolution
    except ValidationError as error:
        row.problems += [(str(one["loc"][0]), reason_of(one)) for one in error.errors() if one["type"] != "enum"]
    if row.problems:
        return None
    created, resolved = row.times[Target.CREATED_AT], row.times[Target.RESOLVED_AT]
    over = Status(status) not in ACTIVE
    created = created or (resolved if over else None) or at
    resolved = (resolved or created) if over else None
    if resolved is not None and resolved < created:
        row.problems.append((Target.RESOLVED_AT, "lies before created_at"))
        return None
    ticket = new_ticket(caller, draft, at)._replace(
        status=Status(status),
        resolution=resolution,
        created_at=created,
        updated_at=resolved or created,
        public_updated_at=resolved or created,
        resolved_at=resolved,
    )
    return ticket, event(caller, ticket.id, at, "created", {"import": (None, import_id)})


def _known(row: _Row, target: Target, text: str) -> str:
    """Our word for another helpdesk's; a problem where there is none."""
    ours = status_of(text) if target is Target.STATUS else severity_of(text)
    if ours is None:
        word = clean_line(text)[:_LONGEST_WORD]
        row.problems.append((target, f"{word!r} is not known here; say what it means in values.{target}"))
    return ours or text


def _fitting_tags(row: _Row, tags: Sequence[str], external: str | None) -> list[str]:
    """As many as a ticket may have; the others go into the description."""
    cleaned = [clean_line(tag) for tag in tags]
    spelled = {folded(tag): tag for tag in reversed(cleaned)}  # as it is spelled first
    wanted = [spelled.pop(key) for key in map(folded, cleaned) if key in spelled]
    named = [EXTERNAL_TAG + clean_line(external.replace(",", " "))] if external else []
    fitting = [tag for tag in wanted if tag and len(tag) <= _LONGEST_TAG][: MOST_TAGS - len(named)]
    left = [tag for tag in wanted if tag and tag not in fitting]
    if left:
        row.extras.append(f"Tags: {', '.join(left)}")
        row.notes.append(
            (Target.TAGS, f"at most {MOST_TAGS} of {_LONGEST_TAG} characters: others are in the description")
        )
    if external and len(named[0]) > _LONGEST_TAG:
        row.extras.append(f"Number there: {external}")
        row.notes.append((Target.EXTERNAL_ID, "longer than a tag: it is in the description"))
        named = []
    return [*fitting, *named]


def _fitting_texts(row: _Row, values: Mapping[Target, Any]) -> tuple[str, str]:
    """Title and description; a title that is too long stands whole in the description."""
    title, description = values.get(Target.TITLE, ""), values.get(Target.DESCRIPTION, "")
    if not title:
        title = short_title(description)
    line = clean_line(title)
    if len(line) > _LONGEST_TITLE:
        row.notes.append((Target.TITLE, f"longer than {_LONGEST_TITLE} characters: the whole is in the description"))
        description = f"{title}\n\n{description}" if description else title
        title = cut(line, _LONGEST_TITLE)
    parts = [description or title, *row.extras, row.last]
    return title, _fitting(row, Target.DESCRIPTION, "\n\n".join(filter(None, parts)))


def _fitting(row: _Row, target: Target, text: str) -> str:
    """A text that fits: one that is too long stands whole in a file of the ticket."""
    name = f"{target}.txt"
    fitting = fit(text, name)
    if fitting != text:
        row.files.append((name, text))
        row.notes.append((target, f"longer than {LONGEST_PROSE:,} characters: the whole is attached as {name}"))
    return fitting


_KNOWN_AS: Mapping[Target, tuple[str, ...]] = {
    Target.TITLE: ("title", "summary", "subject", "short description", "issue"),
    Target.DESCRIPTION: ("description", "details", "body", "document", "text", "message"),
    Target.SEVERITY: ("severity", "priority", "urgency", "impact"),
    Target.CATEGORY: ("category", "topic", "topic group", "type", "issue type", "service"),
    Target.REQUESTER: ("requester", "reporter", "caller", "caller id", "opened by", "contact", "customer", "email"),
    Target.ASSIGNEE: ("assignee", "assigned to", "owner", "agent"),
    Target.TEAM: ("team", "group", "assignment group", "queue", "department"),
    Target.TAGS: ("tags", "labels", "keywords"),
    Target.STATUS: ("status", "state"),
    Target.CREATED_AT: (
        "created at",
        "created",
        "opened",
        "opened at",
        "date",
        "creation date",
        "created time",
        "create time",
        "created date",
        "date opened",
        "created on",
    ),
    Target.RESOLVED_AT: (
        "resolved at",
        "resolved",
        "closed",
        "closed at",
        "close at",
        "solved at",
        "resolved time",
        "close time",
        "closed time",
        "closed date",
        "resolution date",
        "closed on",
    ),
    Target.RESOLUTION: ("resolution", "close notes", "solution", "answer"),
    Target.EXTERNAL_ID: (
        "id",
        "number",
        "key",
        "issue key",
        "ticket id",
        "ticket",
        "ticket number",
        "ticket#",
        "case number",
        "incident number",
    ),
}


_TOLD_BESIDE = frozenset({"comment", "comments", "work notes", "comments and work notes", "additional comments"})


def guess(columns: Sequence[str]) -> dict[str, Target]:
    """A mapping to begin with, by what such columns are usually called. What was said goes with the description."""
    found: dict[str, Target] = {}
    beside: dict[str, Target] = {}
    for column in columns:
        name = re.sub(r"[\s_-]+", " ", as_word(column)).strip()
        if name in _TOLD_BESIDE:
            beside[column] = Target.DESCRIPTION
        for target, names in _KNOWN_AS.items():
            if name in names and target not in found.values():
                found[column] = target
                break
    return found | beside


def caller_of(kept: Mapping[str, Any]) -> Caller:
    """Whoever started an import, as its record has them; those of earlier versions may name them otherwise."""
    address = normal(kept["address"])
    if not is_address(address) and address != ADMIN:
        address = TOKEN + kept["token_id"]
    return Caller(kept["token_id"], kept["name"], Role(kept["role"]), address, tuple(kept["teams"]))
