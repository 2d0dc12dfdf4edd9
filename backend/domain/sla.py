"""What is promised for a ticket, in business time: weekly hours in a time zone, holidays, minutes for each severity."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from backend.domain.tickets import ACTIVE, Severity, Status, Ticket
from backend.domain.values import Instant, instant_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LONGEST_PROMISE_YEARS = 5
# Where business time runs out (ten years of looking for it), a promise ends here.
HORIZON = timedelta(days=3_653)
# The states in which promised times count.
RUNNING = frozenset({Status.OPEN, Status.IN_PROGRESS})

_is_hours = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)").fullmatch
_is_zone = re.compile(r"[A-Za-z0-9_+\-/]{1,64}").fullmatch


def _zone(name: str) -> str:
    try:
        if _is_zone(name):
            ZoneInfo(name)
            return name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError("must be the name of a time zone, such as Europe/Berlin")


def _minutes(hours: str) -> tuple[int, int]:
    """`09:00-17:30` as minutes after midnight."""
    found = _is_hours(hours)
    if found is None:
        raise ValueError("must look like 09:00-17:30, from 00:00 to 24:00")
    start = int(found[1]) * 60 + int(found[2])
    end = int(found[3]) * 60 + int(found[4])
    if not start < end <= 24 * 60:
        raise ValueError("must end after it starts, at 24:00 at the latest")
    return start, end


def _day(hours: tuple[str, ...]) -> tuple[str, ...]:
    spans = sorted(_minutes(span) for span in hours)
    if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
        raise ValueError("must not overlap")
    return tuple(sorted(hours))


Minutes = Annotated[int, Field(ge=1, le=527_040, description="business minutes; null: nothing is promised")]
Day = Annotated[tuple[str, ...], Field(max_length=8), AfterValidator(_day)]


class Hours(BaseModel):
    """When work is done, such as `["09:00-12:00", "13:00-17:30"]` a day; a day left out is free."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    monday: Day = ()
    tuesday: Day = ()
    wednesday: Day = ()
    thursday: Day = ()
    friday: Day = ()
    saturday: Day = ()
    sunday: Day = ()

    def week(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Each weekday's spans in minutes after midnight, Monday first."""
        return tuple(tuple(_minutes(span) for span in getattr(self, name)) for name in WEEKDAYS)


class Promise(BaseModel):
    """What is promised for one severity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_response_minutes: Minutes | None = None
    resolution_minutes: Minutes | None = None


class SlaDraft(BaseModel):
    """What an administrator says of the promises."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "time_zone": "Europe/Berlin",
                    "hours": {day: ["09:00-17:00"] for day in WEEKDAYS[:5]},
                    "holidays": ["2026-12-25"],
                    "promises": {"critical": {"first_response_minutes": 30, "resolution_minutes": 240}},
                }
            ]
        },
    )

    time_zone: Annotated[str, AfterValidator(_zone)] = Field(description="a name of the IANA database")
    hours: Hours
    holidays: Annotated[tuple[date, ...], Field(max_length=400, description="days without any hours")] = ()
    promises: dict[Severity, Promise] = Field(description="for each severity; one left out promises nothing")

    @model_validator(mode="after")
    def _can_be_kept(self) -> "SlaDraft":
        weekly = sum(end - start for day in self.hours.week() for start, end in day)
        if weekly == 0:
            raise ValueError("hours: at least one weekday needs some")
        weeks = LONGEST_PROMISE_YEARS * 52
        for severity, promise in self.promises.items():
            if any((minutes or 0) > weekly * weeks for minutes in promise.model_dump().values()):
                raise ValueError(
                    f"promises: with these hours, {severity} would end in over {LONGEST_PROMISE_YEARS} years"
                )
        return self


@dataclass(frozen=True, slots=True)
class Calendar:
    """When business time runs."""

    zone: ZoneInfo
    week: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date] = frozenset()

    def add(self, start: datetime, span: timedelta) -> datetime:
        """The moment at which so much business time has passed since `start`; bounded by HORIZON."""
        if span <= timedelta(0):
            return start
        for begin, end in self._open(start):
            if span <= end - begin:
                return begin + span
            span -= end - begin
        return start + HORIZON

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The business time between two moments."""
        total = timedelta(0)
        for begin, until in self._open(start):
            if begin >= end:
                break
            total += min(until, end) - begin
        return total

    def _open(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The spans of business time from `start` on, one after the other."""
        first = start.astimezone(self.zone).date()
        for number in range(HORIZON.days):
            day = first + timedelta(days=number)
            if day in self.holidays:
                continue
            for opens, closes in _spans(self.zone, day, self.week[day.weekday()]):
                if start < closes:
                    yield max(start, opens), closes


@lru_cache(maxsize=4_096)
def _spans(zone: ZoneInfo, day: date, hours: tuple[tuple[int, int], ...]) -> tuple[tuple[datetime, datetime], ...]:
    """A day's spans of business time. Kept, since every new ticket asks for the same few days."""
    spans = [(clock(zone, day, opens), clock(zone, day, closes)) for opens, closes in hours]
    return tuple((opens, closes) for opens, closes in spans if opens < closes)


def clock(zone: tzinfo, day: date, minute: int) -> datetime:
    """The first moment at which clocks in the zone have reached this minute of the day.

    Where they are set back, that is the first of two; where they jump over it, the jump. So the moments of a day never
    run backwards, one day ends where the next begins, and no hour counts twice.
    """
    wall = datetime.combine(day, time()) + timedelta(minutes=minute)
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if _shown(zone, found) == wall:
        return found
    early, late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (middle, late) if _shown(zone, middle) < wall else (early, middle)
    return late


def _shown(zone: tzinfo, moment: datetime) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The promises, ready to be reckoned with."""

    calendar: Calendar
    promises: Mapping[Severity, Promise]

    @classmethod
    def of(cls, draft: SlaDraft) -> "Policy":
        """What the draft says."""
        calendar = Calendar(ZoneInfo(draft.time_zone), draft.hours.week(), frozenset(draft.holidays))
        return cls(calendar, draft.promises)

    def first_response_due(self, ticket: Ticket, since: Instant) -> Instant | None:
        """Until when a first answer is promised."""
        return self._due(self._promise(ticket).first_response_minutes, since)

    def resolution_due(self, ticket: Ticket, since: Instant) -> Instant | None:
        """Until when a resolution is promised."""
        return self._due(self._promise(ticket).resolution_minutes, since)

    def waited(self, since: Instant, until: Instant) -> timedelta:
        """The business time between two moments."""
        return self.calendar.between(_moment(since), _moment(until))

    def later(self, due: Instant | None, waited: timedelta) -> Instant | None:
        """A promised time, moved on by business time."""
        return due and instant_of(self.calendar.add(_moment(due), waited))

    def _promise(self, ticket: Ticket) -> Promise:
        return self.promises.get(ticket.severity) or Promise()

    def _due(self, minutes: int | None, since: Instant) -> Instant | None:
        return minutes and instant_of(self.calendar.add(_moment(since), timedelta(minutes=minutes)))  # type: ignore[return-value]


def _moment(at: Instant) -> datetime:
    return datetime.fromisoformat(at)


class Deadline(NamedTuple):
    """Until when something is promised for a ticket that is worked on: its first answer, or its resolution."""

    first_answer: bool
    at: Instant


def next_deadline(ticket: Ticket, *, first_answers: bool = True) -> Deadline | None:
    """The first promise that is still to be kept, also where its time has passed: what breaks next, or broke first.

    None where nothing is promised, and while the clock does not run: waiting for the requester, or done.
    """
    if ticket.status not in RUNNING:
        return None
    found = [Deadline(False, ticket.due_at)] if ticket.due_at else []
    if first_answers and ticket.first_response_due_at and ticket.first_responded_at is None:
        found.append(Deadline(True, ticket.first_response_due_at))
    return min(found, key=lambda one: one.at, default=None)


def promised(policy: Policy | None, ticket: Ticket) -> Ticket:
    """A new ticket with its promised times."""
    if policy is None:
        return ticket
    return ticket._replace(
        first_response_due_at=policy.first_response_due(ticket, ticket.created_at),
        due_at=policy.resolution_due(ticket, ticket.created_at),
    )


def retimed(policy: Policy | None, before: Ticket, after: Ticket) -> Ticket:
    """What a change does to the promised times.

    Waiting for the requester stops the clock, and leaving that state moves the times on by the business time waited.
    Another severity is another promise, from the same start. A ticket that is opened again gets a fresh one.
    """
    if before.status is after.status and before.severity is after.severity:
        return after
    values: dict[str, Any] = {}
    at = after.updated_at
    if after.status is Status.WAITING and before.status is not Status.WAITING:
        values["paused_at"] = at
    if before.paused_at is not None and after.status is not Status.WAITING:
        values |= _resumed(policy, before, at)
    reopened = before.status not in ACTIVE and after.status in ACTIVE
    if reopened:
        values["promised_from"] = at
    if policy and after.status in ACTIVE and (reopened or before.severity is not after.severity):
        since = values.get("promised_from") or before.promised_from or before.created_at
        values["due_at"] = policy.resolution_due(after, since)
        if before.first_responded_at is None and (not reopened or before.first_response_due_at is None):
            values["first_response_due_at"] = policy.first_response_due(after, since)
    return after._replace(**values) if values else after


def _resumed(policy: Policy | None, before: Ticket, at: Instant) -> dict[str, Any]:
    values: dict[str, Any] = {"paused_at": None}
    if policy and before.paused_at:
        waited = policy.waited(before.paused_at, at)
        values["promised_from"] = policy.later(before.promised_from or before.created_at, waited)
        values["due_at"] = policy.later(before.due_at, waited)
        if before.first_responded_at is None:
            values["first_response_due_at"] = policy.later(before.first_response_due_at, waited)
    return values
