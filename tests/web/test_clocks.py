"""Whose days a page speaks of."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request

from backend.domain.search import Span, understand
from backend.web.pages.clocks import clock_of
from tests.client import Client


def asking(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode("latin-1", "replace"))]})


@pytest.mark.parametrize("name", ["Europe/Zurich", "America/Argentina/Ushuaia", "Asia/Calcutta", "UTC", "Etc/GMT+5"])
def test_zone_of_the_cookie(name: str) -> None:
    found = clock_of(asking(f"a=b; tz={name}"))
    assert (found.zone.key, found.known) == (name, True)


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "tz=",
        "tz=Nowhere/Land",
        "tz=../../etc/passwd",
        "tz=/etc/passwd",
        "tz=Europe",
        "tz=é",
        "tz=" + "a" * 5000,
        "tz=..",
    ],
)
def test_anything_else_is_utc_and_not_known(cookie: str) -> None:
    found = clock_of(asking(cookie))
    assert (found.zone.key, found.known) == ("UTC", False)


@pytest.mark.parametrize(
    ("text", "zone", "start", "end"),
    [
        ("created:2026-01-31", "Asia/Tokyo", "2026-01-30T15:00", "2026-01-31T15:00"),
        ("created:2026-03-29", "Europe/Zurich", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("created:2026-03", "Europe/Zurich", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("created:2026", "America/New_York", "2026-01-01T05:00", "2027-01-01T05:00"),
        ("created:2026-09-06", "America/Santiago", "2026-09-06T04:00", "2026-09-07T03:00"),  # no midnight
        ("created:2026-01-30..2026-01-31", "Asia/Tokyo", "2026-01-29T15:00", "2026-01-31T15:00"),
        ("created:2026-01-31", "UTC", "2026-01-31T00:00", "2026-02-01T00:00"),
    ],
)
def test_days_of_a_search(text: str, zone: str, start: str, end: str) -> None:
    (span,) = understand(text, "me", ZoneInfo(zone)).conditions
    assert isinstance(span, Span) and span.start and span.end
    assert (span.start[:16], span.end[:16]) == (start, end)
    assert understand(text, "me").conditions == understand(text, "me", ZoneInfo("UTC")).conditions


def test_lists_and_dashboard_of_two_readers(agent: Client) -> None:
    agent.ticket(title="Filed now")
    east, west = "Pacific/Kiritimati", "Pacific/Niue"  # 25 hours apart: it is never the same day in both
    for mine, other in ((east, west), (west, east)):
        today = datetime.now(ZoneInfo(mine)).date()
        shown = agent.get(f"/queue?q=created:{today}", headers={"cookie": f"tz={mine}"}).text
        assert "Filed now" in shown and "uses days in UTC" not in shown
        assert "Filed now" not in agent.get(f"/queue?q=created:{today}", headers={"cookie": f"tz={other}"}).text
        days = agent.get("/dashboard?days=7", headers={"cookie": f"tz={mine}"}).text
        assert str(today) in days and str(today + timedelta(days=1)) not in days
    assert "This search uses days in UTC" in agent.get("/queue?q=created:2026").text
    assert "days are in UTC" in agent.get("/dashboard").text
