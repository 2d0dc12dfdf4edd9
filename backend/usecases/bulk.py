"""The same change to many tickets, in one write."""

from collections.abc import Sequence

from backend.domain.access import Role
from backend.domain.bulk import BulkDraft, BulkItem, Mode, Outcome, Outcomes
from backend.domain.edits import Desk
from backend.domain.once import Once
from backend.domain.tickets import Ticket, Written
from backend.errors import BulkRefused, RequestError, Unavailable
from backend.ports import Ports
from backend.usecases.tickets import get_ticket, remember


async def change_many(ports: Ports, desk: Desk, draft: BulkDraft, once: Once | None = None) -> Outcomes:
    """What became of each, in the order given. In one write, so that a repeat finds all of it or nothing.

    Raises NotAllowed, and in the mode `all` BulkRefused where any fails: then nothing has changed.
    """
    desk.caller.must_be(Role.AGENT)
    items = {item.id: item for item in draft.tickets}
    failed: dict[str, RequestError] = {}
    found = await _found(ports, desk, draft, failed)
    if draft.resolution is not None:
        for ticket in found:
            await remember(ports, desk, ticket, draft.resolution)
    ids = [ticket.id for ticket in found]
    lost = dict(failed)

    def edit(tickets: Sequence[Ticket]) -> Sequence[Written]:
        failed.clear()
        failed.update(lost)
        written = [_try(desk, draft, items[ticket.id], ticket, failed) for ticket in tickets]
        _refuse(draft, failed)
        return [one for one in written if one]

    def outcomes(tickets: Sequence[Ticket]) -> Outcomes:
        done = {ticket.id: ticket for ticket in tickets}
        return [
            Outcome(one, problem=failed[one]) if one in failed else Outcome(one, desk.shown(done[one])) for one in items
        ]

    return outcomes(await ports.tickets.update_many(ids, edit, once and once.wrapping(outcomes)))


async def _found(ports: Ports, desk: Desk, draft: BulkDraft, failed: dict[str, RequestError]) -> list[Ticket]:
    """Those that can be changed as they are now; why not for the others. Raises BulkRefused."""
    found: list[Ticket] = []
    for item in draft.tickets:
        try:
            ticket = await get_ticket(ports, desk.caller, item.id)
        except Unavailable:
            raise
        except RequestError as problem:
            failed[item.id] = problem
            continue
        _try(desk, draft, item, ticket, failed)
        if item.id not in failed:
            found.append(ticket)
    _refuse(draft, failed)
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
        number = {item.id: index for index, item in enumerate(draft.tickets)}
        raise BulkRefused(
            f"{len(failed)} of {len(number)} tickets can't be changed, so none was.",
            [(f"tickets.{number[one]}", f"{one}: {_said(problem)}") for one, problem in failed.items()],
        )


def _said(problem: RequestError) -> str:
    fields = "; ".join(f"{field} {message}" for field, message in getattr(problem, "problems", ()))
    return f"{problem} ({fields})" if fields else str(problem)
