"""What moving everything elsewhere, adding many and figures ask of the ports."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.domain.catalogue import Kind, new_record
from backend.domain.exports import Outcome, Whole, from_line, to_line
from backend.domain.figures import Period, period
from backend.domain.once import AlreadyDone, Receipt
from backend.domain.takes import Return
from backend.domain.tickets import Ticket
from backend.domain.values import now
from backend.ports import MOST_ADDED, Ports
from backend.settings import load_settings
from backend.wiring import wire
from tests.builders import (
    a_comment,
    a_promise,
    a_session,
    a_ticket,
    a_token,
    an_act,
    an_attachment,
    an_edit,
    an_event,
    saying,
)
from tests.conftest import variables
from tests.contract.test_returns import splitting, where


@pytest.fixture
def elsewhere(tmp_path: Path) -> Ports:
    """Other stores, empty."""
    ports = wire(load_settings(variables(tmp_path / "elsewhere"), Path("/nonexistent")))
    ports.open()
    yield ports
    ports.close()


def add(ports: Ports, ticket: Ticket | None = None) -> Ticket:
    ticket = ticket or a_ticket()
    return asyncio.run(ports.tickets.add(ticket, [an_attachment(ticket)], an_event(ticket)))


def comment(ports: Ports, ticket: Ticket) -> None:
    said = a_comment(ticket)
    asyncio.run(ports.tickets.add_comment(said, saying(said)))


def dump(ports: Ports, after: int = 0, limit: int = 50) -> list[Whole]:
    return list(asyncio.run(ports.tickets.dump(after, limit)))


def load(ports: Ports, *wholes: Whole) -> list[Outcome]:
    return list(asyncio.run(ports.tickets.load(wholes)))


def test_dump_pages_by_number_and_each_ticket_is_whole(ports: Ports) -> None:
    first, second, third = (add(ports) for _ in range(3))
    comment(ports, second)
    asyncio.run(ports.tickets.update(third.id, an_edit(deleted_at=now())))
    assert [one.ticket.number for one in dump(ports)] == [1, 2, 3]
    assert [one.ticket.id for one in dump(ports, 1, 1)] == [second.id]
    assert dump(ports, 3) == []
    whole = dump(ports, 1, 1)[0]
    assert (len(whole.comments), len(whole.attachments), [e.kind for e in whole.history]) == (
        1,
        1,
        ["created", "commented"],
    )
    these = asyncio.run(ports.tickets.dump_these([third.id, first.id, "01M82WN1MF4T9XV22B24PC6B8F"]))
    assert {one.ticket.id for one in these} == {first.id, third.id}


def test_load_keeps_everything_and_numbers_go_on(ports: Ports, elsewhere: Ports) -> None:
    tickets = [add(ports, a_ticket(tags=("x",), watchers=("w",))) for _ in range(3)]
    comment(ports, tickets[1])
    note = a_comment(tickets[2], internal=True)
    file = an_attachment(tickets[2]).sent_with(tickets[2].id, note.id, True)
    asyncio.run(ports.tickets.add_comment(note, saying(note), None, [file]))
    wholes = dump(ports)
    assert file in wholes[2].attachments
    assert load(elsewhere, *wholes) == [Outcome.ADDED] * 3
    assert dump(elsewhere) == wholes
    assert load(elsewhere, *wholes) == [Outcome.SAME] * 3
    assert add(elsewhere).number == 4


def test_load_moves_a_ticket_on_and_never_back(ports: Ports, elsewhere: Ports) -> None:
    ticket = add(ports)
    (early,) = dump(ports)
    comment(ports, ticket)
    asyncio.run(ports.tickets.update(ticket.id, an_edit(tags=("new",))))
    (late,) = dump(ports)
    assert load(elsewhere, early) == [Outcome.ADDED]
    assert load(elsewhere, late) == [Outcome.FORWARDED]
    assert dump(elsewhere) == [late]
    assert load(elsewhere, early) == [Outcome.AHEAD]
    assert dump(elsewhere) == [late]


def test_load_leaves_alone_what_is_something_else(ports: Ports, elsewhere: Ports) -> None:
    add(ports)
    (whole,) = dump(ports)
    mine = add(elsewhere)
    before = dump(elsewhere)
    assert load(elsewhere, whole) == [Outcome.OTHER], "another ticket has its number"
    comment(elsewhere, mine)
    stored = dump(elsewhere)[0]
    changed = replace(before[0], ticket=before[0].ticket._replace(title="Other"))
    assert load(elsewhere, replace(stored, ticket=stored.ticket._replace(title="Other"))) == [Outcome.OTHER]
    assert load(elsewhere, changed) == [Outcome.AHEAD]
    assert dump(elsewhere) == [stored]


@pytest.mark.parametrize("turned", [False, True])
def test_load_follows_what_a_split_gave_back(ports: Ports, elsewhere: Ports, turned: bool) -> None:
    """In whichever order the two tickets come."""
    target, hers = add(ports), add(ports)
    sent = replace(a_comment(target), via=hers.id)
    file = replace(an_attachment(target).sent_with(target.id, sent.id, False), via=hers.id)
    asyncio.run(ports.tickets.add_comment(sent, saying(sent), None, [file]))
    assert load(elsewhere, *dump(ports)) == [Outcome.ADDED] * 2 and dump(elsewhere) == dump(ports)
    split = splitting(Return(target.id, hers.id, frozenset({hers.id})))
    asyncio.run(ports.tickets.take([hers.id, target.id], split))
    wholes = dump(ports)
    for whole in reversed(wholes) if turned else wholes:
        assert load(elsewhere, whole) == [Outcome.FORWARDED]
    assert dump(elsewhere) == wholes and [len(one.comments) for one in wholes] == [0, 1]
    assert asyncio.run(where(elsewhere, "Hello")) == [hers.id]
    for whole in wholes:
        assert from_line("tickets", to_line(whole)) == whole


def test_small_records_load_once_and_never_over_others(ports: Ports) -> None:
    token, record, act = a_token(), new_record(Kind.TEAM, {"name": "ü"}, now()), an_act()
    for _, outcome in enumerate((Outcome.ADDED, Outcome.SAME)):
        assert list(asyncio.run(ports.tokens.load([token]))) == [outcome]
        assert list(asyncio.run(ports.catalogue.load([record]))) == [outcome]
        assert list(asyncio.run(ports.catalogue.load_acts([act]))) == [outcome]
    assert asyncio.run(ports.tokens.find(token.hash)) == token
    assert list(asyncio.run(ports.tokens.load([replace(token, name="X"), replace(a_token(), hash=token.hash)]))) == [
        Outcome.OTHER,
        Outcome.OTHER,
    ]
    assert list(asyncio.run(ports.tokens.load([replace(token, last_used_at=now())]))) == [Outcome.SAME]
    later = record.with_body({"name": "later"}, now())
    assert list(asyncio.run(ports.catalogue.load([later, record]))) == [Outcome.FORWARDED, Outcome.OTHER]
    assert list(asyncio.run(ports.catalogue.load([replace(later, owner="x")]))) == [Outcome.OTHER]
    assert list(asyncio.run(ports.catalogue.load_acts([replace(act, action="x")]))) == [Outcome.OTHER]
    assert asyncio.run(ports.catalogue.get(Kind.TEAM, record.id)) == later


def test_file_keeps_the_key_it_is_given(ports: Ports) -> None:
    async def chunks(content: bytes):
        yield content

    key = "0123456789abcdef0123456789abcdef"
    assert asyncio.run(ports.uploads.size(key)) is None
    assert asyncio.run(ports.uploads.put(chunks(b"one"), 10, key)).key == key
    assert asyncio.run(ports.uploads.size(key)) == 3
    asyncio.run(ports.uploads.put(chunks(b"other"), 10, key))
    assert asyncio.run(ports.uploads.size(key)) == 5


def test_add_many_is_all_or_none_and_once(ports: Ports) -> None:
    tickets = [a_ticket() for _ in range(MOST_ADDED)]
    written = [(ticket, an_event(ticket)) for ticket in tickets]
    added = asyncio.run(ports.tickets.add_many(written, a_promise("k")))
    assert [one.number for one in added] == list(range(1, MOST_ADDED + 1))
    assert [one.id for one in added] == [one.id for one in tickets]
    again = a_ticket()
    with pytest.raises(AlreadyDone):
        asyncio.run(ports.tickets.add_many([(again, an_event(again))], a_promise("k")))
    assert len(dump(ports)) == MOST_ADDED


def test_survives_a_restart(opened: Callable[[], Ports]) -> None:
    ticket = a_ticket()
    asyncio.run(opened().tickets.add_many([(ticket, an_event(ticket))]))
    assert dump(opened())[0].ticket.id == ticket.id


def test_period_is_whole_days_up_to_today() -> None:
    found: Period = period(2, "America/St_Johns", "2026-11-02T01:00:00.000000Z")
    assert found.days == ("2026-10-31", "2026-11-01")
    assert found.bounds == (
        "2026-10-31T02:30:00.000000Z",
        "2026-11-01T02:30:00.000000Z",
        "2026-11-02T03:30:00.000000Z",
    )


def test_receipts_and_sessions_come_out_and_go_in(ports: Ports, elsewhere: Ports) -> None:
    async def all_of(ask: Callable[..., Any]) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await ask(2, cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def check() -> None:
        long = bytes(range(256)) * 3_000
        for key, answer in (("a", b"one"), ("b", long), ("c", b"three")):
            ticket = a_ticket()
            await ports.tickets.add(ticket, [], an_event(ticket), a_promise(key, answer))
        await ports.tickets.load_receipts([Receipt("gone", "f", b"", "2020-01-01T00:00:00.000000Z")])
        token = a_token()
        sessions = [replace(a_session(f"s{n}", token), expires_at="9999") for n in range(3)]
        for session in sessions:
            await ports.tokens.add_session(session, an_act())
        receipts = await all_of(ports.tickets.dump_receipts)
        assert [one.key for one in sorted(receipts, key=lambda one: one.key)] == ["a", "b", "c"]
        assert max(len(one.answer) for one in receipts) > len(long), "of many parts"
        assert sorted(await all_of(ports.tokens.dump_sessions), key=lambda one: one.hash) == sorted(
            sessions, key=lambda one: one.hash
        )
        for outcome in (Outcome.ADDED, Outcome.SAME):
            assert set(await elsewhere.tickets.load_receipts(receipts)) == {outcome}
            assert set(await elsewhere.tokens.load_sessions(sessions)) == {outcome}
        assert await elsewhere.tickets.find_receipt("b") == next(one for one in receipts if one.key == "b")
        assert await elsewhere.tokens.find_session(sessions[0].hash) == sessions[0]
        used = replace(sessions[0], used_at="9998")
        assert list(await elsewhere.tokens.load_sessions([used])) == [Outcome.FORWARDED]
        assert list(await elsewhere.tokens.load_sessions([sessions[0]])) == [Outcome.AHEAD]
        assert list(await elsewhere.tokens.load_sessions([replace(used, bond="x")])) == [Outcome.OTHER]
        other = replace(receipts[0], fingerprint="x")
        assert list(await elsewhere.tickets.load_receipts([other])) == [Outcome.OTHER]

    asyncio.run(check())
