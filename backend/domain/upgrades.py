"""What earlier versions wrote, as this one would write it.

Each rule is a pure function that leaves alone what is right already, so a walk over all tickets may stop anywhere and
begin again. SQLite's schema steps and the upgrade of a DynamoDB table apply the same rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backend.domain.exports import Whole, from_line, of_today
from backend.domain.people import with_normal_addresses
from backend.domain.visibility import corrected
from backend.errors import InvalidInput

Rule = Callable[[Whole], Whole]


def _name_people(whole: Whole) -> Whole:
    """Everybody in the normal form of their address."""
    ticket = with_normal_addresses(whole.ticket)
    return whole if ticket is whole.ticket else replace(whole, ticket=ticket)


def _make_internal_what_came_with_notes(whole: Whole) -> Whole:
    return replace(whole, **corrected(whole.comments, whole.attachments, whole.history)._asdict())


RULES: Sequence[Rule] = (_name_people, _make_internal_what_came_with_notes)
"""In the order in which they were introduced."""


def from_any_line(kind: str, line: bytes) -> Any:
    """The record in a line of an export, also of an older format: a ticket of such a one is upgraded.

    Raises InvalidInput.
    """
    try:
        return from_line(kind, line)
    except InvalidInput:
        present = of_today(kind, line)
        if present is None:
            raise
        return upgrade(from_line(kind, present))


def upgrade(whole: Whole) -> Whole:
    """The ticket with everything, after every rule. Numbers, versions and times stay as they are."""
    for rule in RULES:
        whole = rule(whole)
    return whole
