"""Figures about a period: what came, what was done, what is left, and whether promises were kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.domain.values import Instant, instant_of
from backend.errors import Unprocessable

MOST_DAYS = 366
LONGEST_TOP = 10


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of some time zone, the last of them today. Day n lasts from `bounds[n]` to before `bounds[n + 1]`."""

    days: tuple[str, ...]
    bounds: tuple[Instant, ...]
    at: Instant
    teams: tuple[str, ...] = ()
    """Only the tickets of these; all, if empty."""

    @property
    def start(self) -> Instant:
        """Its first moment."""
        return self.bounds[0]


@dataclass(frozen=True, slots=True)
class Day:
    """One day. `backlog` is what was open at its end, or is now: of the tickets as they are today."""

    date: str
    opened: int
    resolved: int
    backlog: int


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in seconds; None where it never happened. Ninety of a hundred took `p90` or less."""

    count: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Promises whose time came in the period."""

    kept: int
    broken: int


@dataclass(frozen=True, slots=True)
class Share:
    """What was opened and resolved under one name."""

    name: str
    opened: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Open:
    """How many active tickets there are of one severity and status."""

    severity: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. `first_answer` is of tickets opened in the period, `resolution` of tickets resolved in it."""

    days: tuple[Day, ...]
    backlog: tuple[Open, ...]
    first_answer: Times
    resolution: Times
    first_answer_promises: Kept
    resolution_promises: Kept
    categories: tuple[Share, ...]
    teams: tuple[Share, ...]
    assignees: tuple[Share, ...]


def period(days: int, zone: str, at: Instant, teams: Sequence[str] = ()) -> Period:
    """The last so many days up to now, as the clocks of a zone have them. Raises Unprocessable (no such zone)."""
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unprocessable("There is no such time zone.", [("tz", "a name such as Europe/Zurich")]) from None
    today = datetime.fromisoformat(at).astimezone(clock).date()
    dates = [today + timedelta(days=shift) for shift in range(1 - days, 2)]
    bounds = [instant_of(datetime(date.year, date.month, date.day, tzinfo=clock).astimezone(UTC)) for date in dates]
    return Period(tuple(date.isoformat() for date in dates[:-1]), tuple(bounds), at, tuple(teams))


def course(spans: Period, opened: Sequence[int], resolved: Sequence[int], backlog: int) -> tuple[Day, ...]:
    """The days, the backlog of each worked out backwards from what it is now."""
    found = []
    for date, came, went in reversed(list(zip(spans.days, opened, resolved, strict=True))):
        found.append(Day(date, came, went, backlog))
        backlog += went - came
    return tuple(reversed(found))


def times(seconds: Sequence[float]) -> Times:
    """By nearest rank."""
    ordered = sorted(seconds)
    if not ordered:
        return Times(0, None, None)
    return Times(len(ordered), _rank(ordered, 50), _rank(ordered, 90))


def took(start: Instant, end: Instant) -> float:
    """The seconds from one moment to another, both to the nearest thousandth, as SQLite has them; never negative."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    whole = (last.replace(microsecond=0) - first.replace(microsecond=0)).total_seconds()
    rest = (last.microsecond + 500) // 1000 - (first.microsecond + 500) // 1000
    return max(0.0, whole + rest / 1000)


def _rank(ordered: Sequence[float], percent: int) -> float:
    return round(ordered[-(-len(ordered) * percent // 100) - 1], 3)


def top(opened: Mapping[str, int], resolved: Mapping[str, int]) -> tuple[Share, ...]:
    """The names under which most happened."""
    names = sorted(opened.keys() | resolved.keys(), key=lambda n: (-opened.get(n, 0) - resolved.get(n, 0), n))
    return tuple(Share(name, opened.get(name, 0), resolved.get(name, 0)) for name in names[:LONGEST_TOP])
