"""The same change to many tickets, in one write."""

from collections.abc import Sequence

from backend.domain.access import Caller, Role
from backend.domain.bulk import BulkDraft, BulkItem, Mode, Outcome, Outcomes
from backend.domain.edits import Desk
from backend.domain.once import Once
from backend.domain.tickets import Ticket, Written
from backend.errors import BulkRefused, RequestError, TicketNotFound
from backend.ports import Ports
from backend.usecases import labels
from backend.usecases.tickets import correct_memory, desk_for, desk_that_assigns, get_ticket, remember


async def change_many(ports: Ports, caller: Caller, draft: BulkDraft, once: Once | None = None) -> Outcomes:
    """What became of each, in the order given. In one write, so that a repeat finds all of it or nothing.

    Raises NotAllowed, Unprocessable (an assignee who is nobody), and in the mode `all` BulkRefused where any fails:
    then nothing has changed.
    """
    caller.must_be(Role.AGENT)
    if draft.change is not None:
        draft = draft.model_copy(update={"change": await labels.spelled_draft(ports, draft.change)})
    items = {item.id: item for item in draft.tickets}
    failed: dict[str, RequestError] = {}
    found = await _found(ports, caller, draft, failed)
    desk = await desk_for(ports, caller, *found)
    if draft.change is not None and draft.change.assignee is not None:
        desk = await desk_that_assigns(ports, desk)
        desk.setup.people.find(draft.change.assignee)  # said once, and not for each ticket
    for ticket in found:
        _try(desk, draft, items[ticket.id], ticket, failed)
    able = [ticket for ticket in found if ticket.id not in failed]
    _refuse(draft, failed)
    if draft.resolution is not None:
        for ticket in able:
            await remember(ports, desk, ticket, draft.resolution)
    failed_before = dict(failed)

    def edit(tickets: Sequence[Ticket]) -> Sequence[Written]:
        failed.clear()
        failed.update(failed_before)
        written = [_try(desk, draft, items[ticket.id], ticket, failed) for ticket in tickets]
        _refuse(draft, failed)
        return [one for one in written if one]

    def outcomes(tickets: Sequence[Ticket]) -> Outcomes:
        done = {ticket.id: ticket for ticket in tickets}
        return [
            Outcome(one, problem=failed[one]) if one in failed else Outcome(one, desk.shown(done[one])) for one in items
        ]

    ids = [ticket.id for ticket in able]
    try:
        return outcomes(await ports.tickets.update_many(ids, edit, once and once.wrapping(outcomes)))
    finally:
        if draft.resolution is not None:
            for one in failed.keys() & set(ids):
                await correct_memory(ports, desk, one, draft.resolution)


async def _found(ports: Ports, caller: Caller, draft: BulkDraft, failed: dict[str, RequestError]) -> list[Ticket]:
    """Those that exist for the caller."""
    found: list[Ticket] = []
    for item in draft.tickets:
        try:
            found.append(await get_ticket(ports, caller, item.id))
        except TicketNotFound as problem:
            failed[item.id] = problem
    return found


def _try(
    desk: Desk, draft: BulkDraft, item: BulkItem, ticket: Ticket, failed: dict[str, RequestError]
) -> Written | None:
    try:
        return draft.edit(desk, item)(ticket)
    except RequestError as problem:
        failed[item.id] = problem
        return None


def _refuse(draft: BulkDraft, failed: dict[str, RequestError]) -> None:
    if failed and draft.mode is Mode.ALL:
        problems = [
            (f"tickets.{number}", f"{item.id}: {_said(failed[item.id])}")
            for number, item in enumerate(draft.tickets)
            if item.id in failed
        ]
        raise BulkRefused(f"{len(failed)} of {len(draft.tickets)} tickets can't be changed, so none was.", problems)


def _said(problem: RequestError) -> str:
    fields = "; ".join(f"{field} {message}" for field, message in getattr(problem, "problems", ()))
    return f"{problem} ({fields})" if fields else str(problem)
