"""What one transaction writes when tickets change."""

from collections.abc import Mapping
from dataclasses import replace

from backend.adapters.aws import receipts
from backend.adapters.aws.events import Plan
from backend.adapters.aws.table import ABSENT, Item, check, put
from backend.adapters.aws.ticket_items import (
    attachment_item,
    comment_item,
    comment_postings,
    hints,
    ticket_item,
    ticket_key,
)
from backend.domain.once import Once
from backend.domain.takes import Taken
from backend.domain.tickets import Ticket


def taking(stored: Mapping[str, Ticket], taken: Taken, number: int, once: Once | None) -> tuple[Taken, Plan]:
    """What was taken, a new ticket with its number, and how to write it on condition of every ticket looked at."""
    written = [
        (ticket if ticket.id in stored else ticket._replace(number=number), event) for ticket, event in taken.written
    ]
    done = replace(taken, written=written)
    plan = Plan([], [event for _, event in written], receipts.keeping(once, done))
    after = {ticket.id: ticket for ticket, _ in written}
    for ticket in after.values():
        if ticket.id in stored:
            replace_ticket(plan, stored[ticket.id], ticket)
        else:
            plan.truth.append(put(ticket_item(ticket), ABSENT))
            plan.add += hints(ticket).values()
    plan.truth += [
        check(ticket_key(one.id), "version = :version", version=one.version)
        for one in stored.values()
        if one.id not in after
    ]
    plan.truth += [put(attachment_item(one)) for one in done.attachments]
    if done.comment and done.comment.id not in after:
        plan.truth.append(put(comment_item(done.comment)))
        plan.add += comment_postings(done.comment)
    return done, plan


def replace_ticket(plan: Plan, before: Ticket, after: Ticket) -> None:
    """Plan to write a ticket over the one that was read, with what changes of its hints."""
    plan.truth.append(put(ticket_item(after), "version = :version", version=before.version))
    if (before.deleted_at is None) == (after.deleted_at is None) and all(
        getattr(before, name) == getattr(after, name)
        for name in ("title", "description", "resolution", "tags", "watchers", "participants", "created_at")
    ):
        return
    old, new = hints(before), hints(after)
    plan.version = max(plan.version, after.version)
    plan.add += [item for key, item in new.items() if key not in old or _says_more(old[key], item)]
    plan.remove += [key for key in old if key not in new]


def _says_more(old: Item, new: Item) -> bool:
    return old.get("weight") != new.get("weight")
