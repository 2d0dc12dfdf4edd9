"""How tags, categories and teams are spelled, which tickets have them, and what can be filled in for a beginning."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backend.domain import labels, renames
from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, Record
from backend.domain.labels import MOST_COUNTED, Draft, LabelKind, Used
from backend.domain.pages import MOST_ITEMS, USUAL_ITEMS, TicketFilter, TicketQuery
from backend.domain.text import folded
from backend.domain.tickets import Ticket
from backend.ports import Ports

_RECORDS = {Kind.CATEGORY: LabelKind.CATEGORY, Kind.TEAM: LabelKind.TEAM}


async def spelled(ports: Ports, tickets: Sequence[Ticket]) -> list[Ticket]:
    """New tickets with each label as it was first used; one that is new is spelled so from now on."""
    known = await ports.labels.add(labels.spellings(name for ticket in tickets for name in labels.names_of(ticket)))
    return [labels.respelled(ticket, known) for ticket in tickets]


async def spelled_draft(ports: Ports, draft: Draft) -> Draft:
    """The same for what somebody says of a category, a team or tags."""
    wanted = labels.spellings(labels.names_in(draft))
    return labels.respelled_draft(draft, await ports.labels.add(wanted)) if wanted else draft


async def renamed_draft(ports: Ports, draft: Draft) -> Draft:
    """With the names of now for those that were given up; nothing else is respelled, and nothing kept."""
    known = await ports.labels.find([one.label for one in labels.spellings(labels.names_in(draft))])
    return labels.respelled_draft(draft, {label: one for label, one in known.items() if one.is_former})


async def spelled_names(ports: Ports, kind: LabelKind, names: Iterable[str]) -> tuple[str, ...]:
    """The same for names of one kind, each once."""
    wanted = list(names)
    known = await ports.labels.add(labels.spellings((kind, name) for name in wanted)) if wanted else {}
    return tuple(dict.fromkeys(labels.respelled_name(kind, name, known) for name in wanted))


async def spell_record(ports: Ports, record: Record) -> None:
    """A category or team that is set up is spelled as its record says; tickets may have the former spelling still."""
    if record.kind not in _RECORDS:
        return
    one = labels.spellings([(_RECORDS[record.kind], str(record.body["name"]))])[0]
    known = (await ports.labels.find([one.label])).get(one.label)
    if known is not None and known.is_former:
        await ports.labels.put([one, *renames.parted(known)])  # the name is in use again, for something of its own
        return
    for name in known.every() if known else ():
        one = one.known_as(name)
    if known != one:
        await ports.labels.put([one])


async def teams_of(ports: Ports, caller: Caller) -> Caller:
    """The caller, where a team of theirs has been renamed, with the name that it has now too."""
    wanted = labels.spellings((LabelKind.TEAM, team) for team in caller.teams)
    known = (await ports.labels.find([one.label for one in wanted])).values() if wanted else ()
    names = [one.name for one in known if one.is_former]
    return replace(caller, teams=tuple(dict.fromkeys([*names, *caller.teams]))) if names else caller


async def widened(ports: Ports, where: TicketFilter) -> TicketFilter:
    """A filter that finds its labels however a ticket spells them."""
    wanted = labels.asked_for(where)
    if not wanted:
        return where
    return labels.widened(where, await ports.labels.find([one.label for one in wanted]))


async def every_team(ports: Ports, teams: tuple[str, ...]) -> tuple[str, ...]:
    """All spellings of some teams."""
    return (await widened(ports, TicketFilter(team=teams))).team if teams else teams


async def complete(ports: Ports, caller: Caller, kind: LabelKind, begun: str, limit: int) -> list[Used]:
    """Labels that begin so, those first that most of the newest tickets have.

    Whoever may not see every ticket is told of those on the newest that they may see, and of no others.
    """
    prefix = folded(begun)
    recent = Counter(await _recent(ports, caller, kind))
    names = [name for name, _ in recent.most_common() if folded(name).startswith(prefix)][:limit]
    if _sees_all(caller):
        listed = await ports.labels.begin_with(kind, prefix, limit)
        names = list(dict.fromkeys([*names, *(one.name for one in listed if not one.is_former)]))[:limit]
        counts = await ports.labels.count(kind, names, MOST_COUNTED)
    else:
        counts = [recent[name] for name in names]
    return [Used(name, count) for name, count in zip(names, counts, strict=True) if count]


async def offered(ports: Ports, caller: Caller, kind: LabelKind) -> list[str]:
    """Some to choose from before anything is typed, by name; who is told of which is as in `complete`."""
    if _sees_all(caller):
        found = [one.name for one in await ports.labels.begin_with(kind, "", MOST_ITEMS) if not one.is_former]
    else:
        found = await _recent(ports, caller, kind, USUAL_ITEMS)
    return sorted(set(found), key=folded)


def _sees_all(caller: Caller) -> bool:
    return caller.is_at_least(Role.AGENT) and not caller.teams


async def _recent(ports: Ports, caller: Caller, kind: LabelKind, most: int = MOST_ITEMS) -> list[str]:
    where = TicketFilter().seen_by(caller)
    if where is None:
        return []
    query = TicketQuery(await widened(ports, where), limit=most, at=ports.now())
    tickets = (await ports.tickets.list_tickets(query)).items
    return [name for ticket in tickets for of, name in labels.names_of(ticket) if of is kind and name]
