"""Whose days and hours a page speaks of: the reader's, as the browser tells."""

import re
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fastapi import Request

COOKIE = "tz"
UTC_ZONE = ZoneInfo("UTC")
_is_name = re.compile(r"[A-Za-z0-9_+\-]{1,40}(/[A-Za-z0-9_+\-]{1,40}){0,2}").fullmatch


class Clock(NamedTuple):
    """A time zone, and whether it is known to be the reader's; where it is not, it is UTC."""

    zone: ZoneInfo
    known: bool


def clock_of(request: Request) -> Clock:
    """What the cookie says that the page's script sets; never an error, since anybody can send anything."""
    return _clock(request.cookies.get(COOKIE, "")[:100])


@lru_cache(maxsize=1_024)
def _clock(name: str) -> Clock:
    try:
        if _is_name(name):
            return Clock(ZoneInfo(name), True)
    except (LookupError, ValueError, OSError):
        pass
    return Clock(UTC_ZONE, False)
