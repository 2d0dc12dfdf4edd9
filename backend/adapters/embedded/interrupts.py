"""Reads that stop in the middle of a statement: at a deadline, when nobody waits for them, or as too long for here."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from backend.domain.reading import Permit

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

STEPS_HERE = 30_000  # of SQLite's virtual machine: about two milliseconds
STEPS_A_LOOK = 100_000


class TooLong(Exception):
    """A read took more steps than the event loop can spare."""


def within(connection: sqlite3.Connection, work: Work[Result]) -> Result:
    """Run `work`, or raise TooLong once it has taken STEPS_HERE steps."""
    try:
        return _stoppable(connection, work, lambda: True, STEPS_HERE)
    except _Stopped:
        raise TooLong from None


def until(permit: Permit, connection: sqlite3.Connection, work: Work[Result]) -> Result:
    """Run `work` as long as the permit lasts; the connection is as good as before. Raises Overdue, ClientGone."""
    try:
        return _stoppable(connection, work, permit.is_over, STEPS_A_LOOK)
    except _Stopped:
        permit.check()
        raise AssertionError("a permit that is over was good again") from None


class _Stopped(Exception):
    """Told to stop."""


def _stoppable(connection: sqlite3.Connection, work: Work[Result], is_over: Callable[[], bool], steps: int) -> Result:
    connection.set_progress_handler(is_over, steps)
    try:
        return work(connection)
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise _Stopped from None
        raise
    finally:
        connection.set_progress_handler(None, 0)
