"""What administrators set up, as every write of a ticket needs it: kept for a moment, so that it costs no query each.

A process forgets what it knows with its own changes, so whoever changes something meets it at once. Other processes
(`API_WORKERS`) follow within GOOD_FOR_SECONDS.
"""

import logging
import time
from dataclasses import replace
from typing import TypeVar

from backend.domain.access import FIRST_ADMIN, Caller, Role
from backend.domain.catalogue import Kind, Record
from backend.domain.pages import MOST_ITEMS
from backend.domain.people import People, Person
from backend.domain.setup import CategoryDraft, Setup, TeamDraft
from backend.domain.sla import Policy, SlaDraft
from backend.ports import Ports

logger = logging.getLogger("backend.setup")

GOOD_FOR_SECONDS = 2.0
KINDS = frozenset({Kind.CATEGORY, Kind.TEAM, Kind.SLA})

Draft = TypeVar("Draft", CategoryDraft, TeamDraft, SlaDraft)


async def current(ports: Ports) -> Setup:
    """The categories, teams and promises that count now."""
    kept = ports.setup
    if time.monotonic() >= kept.good_until:
        good_until = time.monotonic() + GOOD_FOR_SECONDS
        kept.setup = await _read(ports)
        kept.good_until = good_until
    return kept.setup


def forget(ports: Ports, kind: Kind) -> None:
    """To be called after every change of such a record."""
    if kind in KINDS:
        ports.setup.good_until = 0.0


async def with_people(ports: Ports, caller: Caller | None = None) -> Setup:
    """The same with those who can be assigned, of whom one may be the caller: for whoever assigns."""
    found = await people(ports)
    return replace(await current(ports), people=replace(found, me=caller.address if caller else None))


async def people(ports: Ports) -> People:
    """Those who can be assigned now."""
    kept = ports.setup
    if time.monotonic() >= kept.people_good_until:
        good_until = time.monotonic() + GOOD_FOR_SECONDS
        at = ports.now()
        tokens = await ports.tokens.list_tokens()
        kept.token_names = {token.address: token.name for token in tokens if token.email is None}
        callers = [*(token.caller() for token in tokens if not token.has_expired(at)), FIRST_ADMIN]
        kept.people = People.of(Person(one.address, one.name) for one in callers if one.is_at_least(Role.AGENT))
        kept.people_good_until = good_until
    return kept.people


def forget_people(ports: Ports) -> None:
    """To be called after every change of tokens."""
    ports.setup.people_good_until = 0.0


async def every_record(ports: Ports, kind: Kind) -> list[Record]:
    """All of a kind, oldest first."""
    found: list[Record] = []
    cursor: str | None = None
    while True:
        page = await ports.catalogue.list_records(kind, MOST_ITEMS, cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def _read(ports: Ports) -> Setup:
    categories = await _understood(ports, Kind.CATEGORY, CategoryDraft)
    teams = await _understood(ports, Kind.TEAM, TeamDraft)
    promises = await _understood(ports, Kind.SLA, SlaDraft)
    return Setup.of(categories, teams, Policy.of(promises[0]) if promises else None)


async def _understood(ports: Ports, kind: Kind, model: type[Draft]) -> list[Draft]:
    """Those that this version understands. One that it does not (of a newer version, or a time zone that is gone) is
    left out and said so: tickets must not fail for it."""
    found: list[Draft] = []
    for record in await every_record(ports, kind):
        try:
            found.append(model.model_validate(record.body))
        except ValueError:  # what a model raises
            logger.error("the %s %s is left out: this version makes no sense of it", kind, record.id)
    return found
