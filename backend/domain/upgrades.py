"""What earlier versions wrote, as this one would write it.

Each rule is a pure function that leaves alone what is right already, so a walk over all tickets may stop anywhere and
begin again. SQLite's schema steps and the upgrade of a DynamoDB table apply the same rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.domain.exports import Whole
from backend.domain.people import with_normal_addresses

Rule = Callable[[Whole], Whole]


def _name_people(whole: Whole) -> Whole:
    """Everybody in the normal form of their address."""
    ticket = with_normal_addresses(whole.ticket)
    return whole if ticket is whole.ticket else replace(whole, ticket=ticket)


RULES: Sequence[Rule] = (_name_people,)
"""In the order in which they were introduced."""


def upgrade(whole: Whole) -> Whole:
    """The ticket with everything, after every rule. Numbers, versions and times stay as they are."""
    for rule in RULES:
        whole = rule(whole)
    return whole
