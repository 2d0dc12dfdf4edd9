"""A row of somebody else's table as a ticket: which column is which field, and what its words mean here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from backend.domain.access import ADMIN, Caller, Role
from backend.domain.addresses import TOKEN, is_address, normal
from backend.domain.labels import EXTERNAL_TAG
from backend.domain.people import People
from backend.domain.tickets import (
    ACTIVE,
    ResolutionDraft,
    Severity,
    Status,
    TicketDraft,
    Written,
    event,
    new_ticket,
)
from backend.domain.values import Instant, instant_of

LARGEST_IMPORT = 1024 * 1024 * 1024
FORMER_ASSIGNEE = "Assignee before the import: "
_SHORT_TITLE = 80
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %b %Y", "%d.%m.%y", "%d/%m/%y")
_MONTH_FIRST = ("%d.%m.%Y", "%m/%d/%Y", "%m-%d-%Y", "%d %b %Y", "%d.%m.%y", "%m/%d/%y", "%b %d, %Y", "%Y/%m/%d")
_is_epoch = re.compile(r"[0-9]{9,10}(?:[0-9]{3})?").fullmatch


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
    encoding: Literal["utf-8", "utf-16", "windows-1252"] | None = Field(
        default=None, description="told by the content, if left out"
    )
    tag_separator: Annotated[str, StringConstraints(min_length=1, max_length=5)] = ","
    day_first: bool = Field(default=False, description="whether 03/04/2026 is the third of April")
    tz: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="of times without an offset")


Problems = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A draft, made ready for one table."""

    draft: ImportDraft
    columns: tuple[str, ...]
    places: tuple[tuple[int, Target], ...]
    words: Mapping[Target, Mapping[str, str]]
    zone: ZoneInfo
    people: People = field(default_factory=People)
    """Those who can be assigned here."""

    def ticket(self, cells: Sequence[str], caller: Caller, at: Instant, import_id: str) -> Written | Problems:
        """The ticket of a row, or what is wrong with it, field by field. The same whenever it is asked."""
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            return [("row", f"has {len(cells)} cells; the table has {len(self.columns)} columns")]
        found = self._found(cells)
        problems: list[tuple[str, str]] = []
        times = {}
        for target in (Target.CREATED_AT, Target.RESOLVED_AT):
            try:
                times[target] = _instant(found.pop(target, ""), self.draft.day_first, self.zone, at)
            except (ValueError, OverflowError) as problem:
                problems.append((target, str(problem)))
        self._assign(found)
        written = _written(found, times, caller, at, import_id, problems)
        return problems or written

    def left_out(self, cells: Sequence[str]) -> str | None:
        """The row's assignee where nobody here is meant by it: then the ticket is nobody's, and its description says
        who it was."""
        name = self._found(cells).get(Target.ASSIGNEE)
        return str(name) if name and self.people.known(name) is None else None

    def _assign(self, found: dict[Target, Any]) -> None:
        name = found.pop(Target.ASSIGNEE, None)
        known = self.people.known(name) if name else None
        if known is not None:
            found[Target.ASSIGNEE] = known
        elif name:
            described = found.get(Target.DESCRIPTION) or found.get(Target.TITLE, "")
            found[Target.DESCRIPTION] = f"{described}\n\n{FORMER_ASSIGNEE}{name}"

    def _found(self, cells: Sequence[str]) -> dict[Target, Any]:
        """What the cells say, in our words."""
        found: dict[Target, Any] = {}
        for place, target in self.places:
            text = cells[place].strip() if place < len(cells) else ""
            text = self.words.get(target, {}).get(text.casefold(), text)
            if not text:
                continue
            if target is Target.TAGS:
                # No tag holds a comma, whatever else parts them here.
                parts = (part.strip() for part in text.replace(self.draft.tag_separator, ",").split(","))
                found.setdefault(target, []).extend(part for part in parts if part)
            elif target in found:
                found[target] = f"{found[target]}\n\n{text}"
            else:
                found[target] = text
        for target, text in self.draft.defaults.items():
            if not found.get(target):
                found[target] = text.split(self.draft.tag_separator) if target is Target.TAGS else text
        return found


def plan(draft: ImportDraft, columns: Sequence[str], people: People | None = None) -> Plan:
    """The draft for a table with these columns, and for these people to assign to. Raises KeyError with the columns
    that it does not have."""
    missing = [name for name in draft.columns if name not in columns]
    if missing:
        raise KeyError(*missing)
    places = tuple((columns.index(name), target) for name, target in draft.columns.items())
    words = {
        target: {word.strip().casefold(): ours for word, ours in known.items()}
        for target, known in draft.values.items()
    }
    return Plan(draft, tuple(columns), places, words, ZoneInfo(draft.tz), people or People())


_USUAL = {Target.SEVERITY: Severity.MEDIUM, Target.CATEGORY: "General", Target.STATUS: Status.OPEN}


def _written(
    found: dict[Target, Any],
    times: Mapping[Target, Instant | None],
    caller: Caller,
    at: Instant,
    import_id: str,
    problems: list[tuple[str, str]],
) -> Written | Problems:
    values = {**_USUAL, **found}
    external = values.pop(Target.EXTERNAL_ID, None)
    if external:
        values[Target.TAGS] = [*values.get(Target.TAGS, ()), EXTERNAL_TAG + external.replace(",", " ")]
    status, resolution = str(values.pop(Target.STATUS)).lower(), values.pop(Target.RESOLUTION, None)
    values[Target.SEVERITY] = str(values[Target.SEVERITY]).lower()
    description = values.get(Target.DESCRIPTION) or values.get(Target.TITLE, "")
    title = values.get(Target.TITLE) or _short(description)
    try:
        draft = TicketDraft.model_validate(
            {str(name): value for name, value in values.items()} | {"title": title, "description": description}
        )
        if resolution is not None:
            resolution = ResolutionDraft(resolution=resolution).resolution
    except ValidationError as error:
        problems += [(str(one["loc"][0]), _reason(one)) for one in error.errors()]
    if status not in Status._value2member_map_:
        problems.append((Target.STATUS, f"must be one of {', '.join(Status)}"))
    if problems:
        return problems
    created = times[Target.CREATED_AT] or at
    over = Status(status) not in ACTIVE
    resolved = (times[Target.RESOLVED_AT] or created) if over else None
    if resolved is not None and resolved < created:
        return [*problems, (Target.RESOLVED_AT, "lies before created_at")]
    ticket = new_ticket(caller, draft, at)._replace(
        status=Status(status),
        resolution=resolution,
        created_at=created,
        updated_at=resolved or created,
        resolved_at=resolved,
    )
    return ticket, event(caller, ticket.id, at, "created", {"import": (None, import_id)})


def _short(text: str) -> str:
    """A title from a description: the beginning of its first line."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _SHORT_TITLE else line[: _SHORT_TITLE - 1].rsplit(" ", 1)[0] + "…"


def _reason(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":
        return "must not hold a NUL, or is not of the form expected"
    return str(problem["msg"]).removeprefix("Value error, ")


def _instant(text: str, day_first: bool, zone: ZoneInfo, at: Instant) -> Instant | None:
    """A time in one of several usual forms. Raises ValueError."""
    if not text:
        return None
    moment = _moment(text, day_first)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    try:
        found = instant_of(moment)
    except OverflowError:
        found = ""
    if not "1970" <= found <= at:
        raise ValueError("must lie between 1970 and now")
    return found


def _moment(text: str, day_first: bool) -> datetime:
    if _is_epoch(text):
        return datetime.fromtimestamp(int(text[:10]) if len(text) > 10 else int(text), UTC)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _DAY_FIRST if day_first else _MONTH_FIRST:
        for time in _TIMES:
            try:
                return datetime.strptime(text, form + time)  # the zone comes after
            except ValueError:
                continue
    raise ValueError("must be a time such as 2026-11-25T09:30:00Z, 25.11.2026 09:30 or 11/25/2026")


_KNOWN_AS: Mapping[Target, tuple[str, ...]] = {
    Target.TITLE: ("title", "summary", "subject", "short description", "issue"),
    Target.DESCRIPTION: ("description", "details", "body", "document", "text", "message"),
    Target.SEVERITY: ("severity", "priority", "urgency", "impact"),
    Target.CATEGORY: ("category", "topic", "topic group", "type", "issue type", "service"),
    Target.REQUESTER: ("requester", "reporter", "caller", "opened by", "contact", "customer", "email"),
    Target.ASSIGNEE: ("assignee", "assigned to", "owner", "agent"),
    Target.TEAM: ("team", "group", "assignment group", "queue", "department"),
    Target.TAGS: ("tags", "labels", "keywords"),
    Target.STATUS: ("status", "state"),
    Target.CREATED_AT: ("created at", "created", "opened", "opened at", "date", "creation date"),
    Target.RESOLVED_AT: ("resolved at", "resolved", "closed", "closed at"),
    Target.RESOLUTION: ("resolution", "close notes", "solution", "answer"),
    Target.EXTERNAL_ID: ("id", "number", "key", "issue key", "ticket id", "ticket", "ticket number"),
}


def guess(columns: Sequence[str]) -> dict[str, Target]:
    """A mapping to begin with, by what such columns are usually called."""
    found: dict[str, Target] = {}
    for column in columns:
        name = re.sub(r"[\s_-]+", " ", column).strip().casefold()
        for target, names in _KNOWN_AS.items():
            if name in names and target not in found.values():
                found[column] = target
                break
    return found


def caller_of(kept: Mapping[str, Any]) -> Caller:
    """Whoever started an import, as its record has them; those of earlier versions may name them otherwise."""
    address = normal(kept["address"])
    if not is_address(address) and address != ADMIN:
        address = TOKEN + kept["token_id"]
    return Caller(kept["token_id"], kept["name"], Role(kept["role"]), address, tuple(kept["teams"]))
