"""A ticket's story together with those of the tickets that were merged into it, in the order of time."""

from collections.abc import Sequence
from dataclasses import replace

from backend.domain.access import Caller
from backend.domain.tickets import Comment, LinkKind, Ticket
from backend.ports import Ports
from backend.web.pages import ties, timeline
from backend.web.pages.ties import Tie
from backend.web.pages.timeline import MOST_CHARACTERS, MOST_SHOWN, Entry, Story

MOST_MERGED = 20


async def tell(ports: Ports, caller: Caller, ticket: Ticket, tied: Sequence[Tie], *, whole: bool = False) -> Story:
    """The whole story that the caller may see; of merged tickets what was said, sent and solved."""
    story = await _story(ports, caller, ticket, tied, whole=whole)
    merged = await _merged(ports, caller, tied)
    if not merged:
        return story
    entries = list(story.entries)
    for one in merged:
        theirs = await _story(ports, caller, one, (), whole=whole)
        entries += _thread(one, theirs)
        story.left_out += theirs.left_out
    entries.sort(key=lambda entry: (entry.at, entry.id))
    kept = entries if whole else entries[-MOST_SHOWN:]
    size, first = 0, len(kept)
    while first and (size := size + _length(kept[first - 1])) <= MOST_CHARACTERS:
        first -= 1
    story.left_out += len(entries) - len(kept) + first
    story.entries = kept[first:]
    return story


async def _merged(ports: Ports, caller: Caller, tied: Sequence[Tie]) -> list[Ticket]:
    """The first tickets that were merged into it, directly or through others."""
    found = [tie.ticket for tie in tied if tie.kind is LinkKind.MERGED_FROM]
    for one in found:  # which grows on the way
        if len(found) >= MOST_MERGED:
            break
        found += await ties.seen(
            ports, caller, [tie.ticket_id for tie in one.links if tie.kind is LinkKind.MERGED_FROM]
        )
    return found[:MOST_MERGED]


async def _story(ports: Ports, caller: Caller, ticket: Ticket, tied: Sequence[Tie], *, whole: bool) -> Story:
    """One ticket's own, with the tickets that it speaks of by their names."""
    story = await timeline.tell(ports, caller, ticket.id, whole=whole)
    if ticket.resolution and ticket.resolved_at and not any(entry.resolution for entry in story.entries):
        # An import brings no history, and a very long one is not read to its beginning.
        solved = Entry(f"{ticket.id}-resolution", ticket.resolved_at, "", resolution=ticket.resolution)
        story.entries = sorted([*story.entries, solved], key=lambda entry: (entry.at, entry.id))
    known = {tie.ticket.id: tie.ticket for tie in tied}
    ids = [one for entry in story.entries for one in entry.tied if one not in known]
    known |= {one.id: one for one in await ties.seen(ports, caller, ids)} if tied or ids else {}
    story.entries = [
        replace(entry, others=_others(entry, ticket, tied, known)) if entry.otherwise else entry
        for entry in story.entries
    ]
    return story


def _others(entry: Entry, ticket: Ticket, tied: Sequence[Tie], known: dict[str, Ticket]) -> list[Ticket]:
    """The tickets that a line speaks of. To requesters it says nothing of links, but some follow from the ticket."""
    if entry.tied:
        return [known[one] for one in entry.tied if one in known]
    if entry.kind == "merged" and ticket.merged_into is not None:
        return [known[ticket.merged_into]] if ticket.merged_into in known else []
    if entry.kind == "followed":
        return [tie.ticket for tie in tied if tie.ticket.created_at == entry.at]
    if entry.kind == "answered":
        return [tie.ticket for tie in tied if tie.ticket.created_at < ticket.created_at][:1]
    return []


def _thread(ticket: Ticket, story: Story) -> list[Entry]:
    """What of a merged ticket is told where it goes on, each marked as from there."""
    asked = Comment(ticket.id, ticket.id, ticket.requester, ticket.description, False, ticket.created_at)
    first = Entry(ticket.id, ticket.created_at, ticket.requester, comment=asked, files=story.first_files)
    told = [first, *(entry for entry in story.entries if entry.comment or entry.files or entry.resolution)]
    return [replace(entry, origin=ticket) for entry in told]


def _length(entry: Entry) -> int:
    return 100 + len(entry.comment.body if entry.comment else entry.resolution)
