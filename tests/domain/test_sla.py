"""Business time: over changes of daylight time, holidays, and as far ahead as promises go."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.domain.sla import HORIZON, WEEKDAYS, Calendar, Policy, SlaDraft, clock, promised, retimed
from backend.domain.tickets import Severity, Status, Ticket, changed
from tests.builders import a_ticket

ALWAYS = {day: ["00:00-24:00"] for day in WEEKDAYS}
OFFICE = {day: ["09:00-12:00", "13:00-17:00"] for day in WEEKDAYS[:5]}
# Whole hours and halves, changes at midnight, at 24:00 and in the morning, a day that was left out.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Asuncion",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
)

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2005, 1, 1), datetime(2037, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
spans = st.timedeltas(timedelta(0), timedelta(days=60))


def week(hours: dict[str, list[str]]) -> tuple[tuple[tuple[int, int], ...], ...]:
    return draft(hours=hours).hours.week()


def draft(**fields: object) -> SlaDraft:
    usual = {"time_zone": "UTC", "hours": OFFICE, "promises": {}}
    return SlaDraft.model_validate(usual | fields)


calendars = st.builds(
    Calendar,
    zones,
    st.sampled_from(
        [week(ALWAYS), week(OFFICE), week({"sunday": ["01:30-02:30", "02:45-03:15"], "friday": ["22:00-24:00"]})]
    ),
    st.frozensets(st.dates(date(2005, 1, 1), date(2037, 1, 1)), max_size=5),
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


class TestClock:
    @given(zones, moments, st.integers(0, 1440), st.integers(0, 1440))
    def test_never_runs_backwards(self, zone: ZoneInfo, day: datetime, one: int, other: int) -> None:
        early, late = sorted((one, other))
        assert clock(zone, day.date(), early) <= clock(zone, day.date(), late)

    @given(zones, moments)
    def test_one_day_ends_where_the_next_begins(self, zone: ZoneInfo, day: datetime) -> None:
        assert clock(zone, day.date(), 1440) == clock(zone, day.date() + timedelta(days=1), 0)

    @given(zones, moments, st.integers(0, 1439))
    def test_is_the_first_moment_that_shows_it_or_more(self, zone: ZoneInfo, day: datetime, minute: int) -> None:
        wall = datetime.combine(day.date(), datetime.min.time()) + timedelta(minutes=minute)
        found = clock(zone, day.date(), minute)
        assert found.astimezone(zone).replace(tzinfo=None) >= wall
        before = found - timedelta(seconds=1)
        assert before.astimezone(zone).replace(tzinfo=None) < wall

    def test_what_is_jumped_over_is_the_jump(self) -> None:
        berlin = ZoneInfo("Europe/Berlin")
        jump = at("2026-03-29T01:00:00")
        assert {clock(berlin, date(2026, 3, 29), minute) for minute in (120, 150, 179, 180)} == {jump}

    def test_what_comes_twice_is_the_first_of_them(self) -> None:
        assert clock(ZoneInfo("Europe/Berlin"), date(2026, 10, 25), 150) == at("2026-10-25T00:30:00")


class TestCalendar:
    @given(calendars, moments, spans)
    def test_what_is_added_lies_between(self, calendar: Calendar, start: datetime, span: timedelta) -> None:
        end = calendar.add(start, span)
        assert end >= start
        if end < start + HORIZON:
            assert calendar.between(start, end) == span

    @given(calendars, moments, spans, spans)
    def test_adding_twice_is_adding_the_sum(
        self, calendar: Calendar, start: datetime, one: timedelta, other: timedelta
    ) -> None:
        once = calendar.add(start, one + other)
        if once < start + HORIZON:
            assert calendar.add(calendar.add(start, one), other) == once

    @given(calendars, moments, spans, spans)
    def test_times_between_add_up(self, calendar: Calendar, start: datetime, one: timedelta, other: timedelta) -> None:
        middle, end = start + one, start + one + other
        whole = calendar.between(start, end)
        assert calendar.between(start, middle) + calendar.between(middle, end) == whole
        assert timedelta(0) <= whole <= end - start

    @given(zones, moments, spans)
    def test_day_and_night_every_second_counts(self, zone: ZoneInfo, start: datetime, span: timedelta) -> None:
        calendar = Calendar(zone, week(ALWAYS))
        assert calendar.add(start, span) == start + span

    def test_spring_and_autumn_in_berlin(self) -> None:
        calendar = Calendar(ZoneInfo("Europe/Berlin"), week({"sunday": ["00:00-24:00"]}))
        for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-01", 24)):
            start = at(f"{day}T00:00:00", "Europe/Berlin")
            assert calendar.between(start, start + timedelta(days=2)) == timedelta(hours=hours)

    def test_weekend_and_holiday_are_left_out(self) -> None:
        calendar = Calendar(ZoneInfo("UTC"), week(OFFICE), frozenset({date(2026, 12, 25)}))
        thursday = at("2026-12-24T16:00:00")
        assert calendar.add(thursday, timedelta(hours=1)) == at("2026-12-24T17:00:00")
        assert calendar.add(thursday, timedelta(hours=2)) == at("2026-12-28T10:00:00")
        assert calendar.add(at("2026-12-26T12:00:00"), timedelta(hours=3, minutes=1)) == at("2026-12-28T13:01:00")

    def test_gives_up_at_the_horizon(self) -> None:
        calendar = Calendar(ZoneInfo("UTC"), week({"monday": ["09:00-09:01"]}))
        start = at("2026-01-01T00:00:00")
        assert calendar.add(start, timedelta(days=400)) == start + HORIZON


class TestDraft:
    @pytest.mark.parametrize(
        "fields",
        [
            {"hours": {}},
            {"hours": {day: [] for day in WEEKDAYS}},
            {"hours": {"monday": ["09:00-09:00"]}},
            {"hours": {"monday": ["17:00-09:00"]}},
            {"hours": {"monday": ["09:00-12:00", "11:59-13:00"]}},
            {"hours": {"monday": ["09:00-24:01"]}},
            {"hours": {"monday": ["24:00-24:00"]}},
            {"hours": {"monday": ["9:00-10:00"]}},
            {"hours": {"monday": "09:00-10:00"}},
            {"hours": {"monday": ["٠٩:٠٠-١٠:٠٠"]}},
            {"hours": {"someday": ["09:00-10:00"]}},
            {"hours": {"monday": [f"{n:02d}:00-{n:02d}:01" for n in range(9)]}},
            {"time_zone": "Europe/Nowhere"},
            {"time_zone": "Europe"},
            {"time_zone": ""},
            {"time_zone": "../../etc/passwd"},
            {"time_zone": "/etc/localtime"},
            {"time_zone": "Europe/Berlin\0"},
            {"time_zone": "x" * 10_000},
            {"holidays": ["2026-02-30"]},
            {"holidays": ["2026-01-01"] * 401},
            {"promises": {"awful": {}}},
            {"promises": {"low": {"resolution_minutes": 0}}},
            {"promises": {"low": {"resolution_minutes": -5}}},
            {"promises": {"low": {"resolution_minutes": 10**9}}},
            {"promises": {"low": {"resolution": 5}}},
            {"hours": {"monday": ["09:00-09:01"]}, "promises": {"low": {"resolution_minutes": 2_000}}},
        ],
    )
    def test_refuses_what_makes_no_sense(self, fields: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            draft(**fields)

    def test_day_and_night_is_a_week(self) -> None:
        assert draft(hours=ALWAYS).hours.week() == (((0, 1440),),) * 7


class TestTickets:
    """Monday to Friday, nine to five with a break, in UTC; 2026-06-01 is a Monday."""

    policy = Policy.of(
        draft(
            promises={
                "low": {"first_response_minutes": 60, "resolution_minutes": 7 * 60},
                "critical": {"resolution_minutes": 60},
            }
        )
    )

    def moved(self, ticket: Ticket, when: str, **values: object) -> Ticket:
        return retimed(self.policy, ticket, changed(ticket, f"{when}.000000Z", **values))

    @pytest.fixture
    def ticket(self) -> Ticket:
        return promised(self.policy, a_ticket(created_at="2026-06-01T16:30:00.000000Z"))

    def test_new_one_has_its_promised_times(self, ticket: Ticket) -> None:
        assert ticket.first_response_due_at == "2026-06-02T09:30:00.000000Z"
        assert ticket.due_at == "2026-06-02T16:30:00.000000Z"
        assert promised(None, ticket._replace(due_at=None)).due_at is None

    def test_other_severity_is_another_promise_from_the_same_start(self, ticket: Ticket) -> None:
        critical = self.moved(ticket, "2026-06-01T16:45:00", severity=Severity.CRITICAL)
        assert (critical.due_at, critical.first_response_due_at) == ("2026-06-02T09:30:00.000000Z", None)
        assert self.moved(critical, "2026-06-01T16:50:00", severity=Severity.LOW).due_at == ticket.due_at
        assert self.moved(critical, "2026-06-01T16:50:00", severity=Severity.HIGH).due_at is None

    def test_waiting_stops_the_clock(self, ticket: Ticket) -> None:
        waiting = self.moved(ticket, "2026-06-02T09:00:00", status=Status.WAITING)
        assert (waiting.paused_at, waiting.due_at) == ("2026-06-02T09:00:00.000000Z", ticket.due_at)
        back = self.moved(waiting, "2026-06-02T14:00:00", status=Status.OPEN)  # four hours, less the break
        assert back.paused_at is None
        assert back.first_response_due_at == "2026-06-02T14:30:00.000000Z"
        assert back.due_at == "2026-06-03T13:30:00.000000Z"
        assert self.moved(waiting, "2026-06-02T14:00:00", status=Status.RESOLVED).due_at == back.due_at
        again = self.moved(back, "2026-06-02T14:01:00", severity=Severity.CRITICAL)
        assert again.due_at == "2026-06-02T14:30:00.000000Z", "the time waited counts for another promise as well"

    def test_waiting_over_the_weekend_costs_nothing(self, ticket: Ticket) -> None:
        waiting = self.moved(ticket, "2026-06-05T17:00:00", status=Status.WAITING)
        assert self.moved(waiting, "2026-06-08T09:00:00", status=Status.OPEN).due_at == ticket.due_at

    def test_first_answer_that_was_given_stays_promised_as_it_was(self, ticket: Ticket) -> None:
        answered = ticket._replace(first_responded_at="2026-06-02T09:10:00.000000Z")
        waiting = self.moved(answered, "2026-06-02T09:10:00", status=Status.WAITING)
        back = self.moved(waiting, "2026-06-02T15:10:00", status=Status.OPEN)
        assert back.first_response_due_at == ticket.first_response_due_at
        worse = self.moved(answered, "2026-06-02T09:20:00", severity=Severity.CRITICAL)
        assert worse.first_response_due_at == ticket.first_response_due_at

    def test_reopened_gets_a_fresh_promise(self, ticket: Ticket) -> None:
        done = self.moved(ticket, "2026-06-02T10:00:00", status=Status.RESOLVED)
        assert self.moved(done, "2026-06-03T09:00:00", severity=Severity.CRITICAL).due_at == ticket.due_at
        again = self.moved(done, "2026-06-08T09:00:00", status=Status.OPEN)
        assert (again.due_at, again.promised_from) == ("2026-06-08T17:00:00.000000Z", "2026-06-08T09:00:00.000000Z")
        worse = self.moved(again, "2026-06-08T09:30:00", severity=Severity.CRITICAL)
        assert worse.due_at == "2026-06-08T10:00:00.000000Z"

    def test_without_promises_only_the_waiting_is_noted(self) -> None:
        ticket = a_ticket()
        waiting = retimed(None, ticket, changed(ticket, "2027", status=Status.WAITING))
        assert (waiting.paused_at, waiting.due_at) == ("2027", None)
        back = retimed(None, waiting, changed(waiting, "2028", status=Status.OPEN))
        assert (back.paused_at, back.promised_from) == (None, None)
