"""Every spelling finds every other, and parts of texts without spaces are found: in tickets, comments, notes, memories."""

import asyncio
from dataclasses import replace

import pytest

from backend.adapters.embedded import ranking
from backend.domain.memories import MemoryQuery
from backend.domain.pages import CommentQuery, Sort, TicketFilter, TicketQuery
from backend.domain.search import Term, being_typed, understand
from backend.domain.values import now
from backend.ports import Ports
from tests.builders import a_comment, a_memory, a_ticket, an_edit, an_event, saying

run = asyncio.run

TEXTS = {
    "umlaut": "Herr Müller aus der Größeren Straße kann nicht drucken",
    "spelled out": "Frau Mueller, Groesseren Strasse 5",
    "plain": "Muller says the Grosseren thing",
    "polish": "Łódź office: VPN łącze",
    "turkish": "İstanbul ofisi ırmak",
    "danish": "Søren og Æble",
    "wide": "ＶＰＮ　接続 is down",
    "japanese": "プリンターで印刷できません。設定を確認してください。",
    "chinese": "无法连接到打印机，请帮忙。",
    "korean": "프린터가 작동하지 않습니다",
    "thai": "เครื่องพิมพ์ไม่ทำงาน",
    "mixed": "Outlook 0x80070005エラーが発生 e-mail grace.hopper@example.org ORA-00942",
    "english": "The blue toe of the user does not matter to Poe in the queue",
}
FOUND = {
    "Müller": {"umlaut", "spelled out", "plain"},
    "Mueller": {"umlaut", "spelled out", "plain"},
    "MULLER": {"umlaut", "spelled out", "plain"},
    "mu\u0308ller": {"umlaut", "spelled out", "plain"},
    "strasse": {"umlaut", "spelled out"},
    "Straße": {"umlaut", "spelled out"},
    "groesseren strasse": {"umlaut", "spelled out"},
    '"grosseren straße"': {"umlaut", "spelled out"},
    "größe*": {"umlaut", "spelled out", "plain"},
    "lodz": {"polish"},
    "Łódź lacze": {"polish"},
    "istanbul": {"turkish"},
    "IRMAK": {"turkish"},
    "soren": {"danish"},
    "soeren aeble": {"danish"},
    "ＶＰＮ": {"polish", "wide"},
    "vpn -łódź": {"wide"},
    "印刷": {"japanese"},
    "印": {"japanese", "chinese"},
    "打印": {"chinese"},
    "刷で": {"japanese"},
    "リンター": {"japanese"},
    "ﾌﾟﾘﾝﾀｰ": {"japanese"},
    "設定を確認": {"japanese"},
    "刷印": set(),
    "打印机": {"chinese"},
    "打机": set(),
    '"打印机 请"': {"chinese"},
    "-印刷 プリ": set(),
    "린터": {"korean"},
    "작동": {"korean"},
    "พิมพ์": {"thai"},
    "エラー": {"mixed"},
    "outlook エラ": {"mixed"},
    "0x80070005": {"mixed"},
    "grace.hop*": {"mixed"},
    "ora-00942": {"mixed"},
    "toe": {"english"},
    "to": {"english"},
    "po": set(),
    "dos": set(),
    "due": set(),
}
TYPED = {
    "e-mai": {"mixed"},
    "grace.hop": {"mixed"},
    "ORA-009": {"mixed"},
    "Muel": {"umlaut", "spelled out", "plain"},
    "Stras": {"umlaut", "spelled out"},
    "Stra": {"umlaut", "spelled out"},
    "プリン": {"japanese"},
    "เครื่อง": {"thai"},
}


def asked() -> list[tuple[str, tuple[Term, ...], set[str]]]:
    questions = [*FOUND.items(), *((being_typed(text), names) for text, names in TYPED.items())]
    return [(text, understand(text, "me").terms or (), names) for text, names in questions]


@pytest.mark.parametrize("most_folded", [0, 1_000_000])
def test_tickets(ports: Ports, most_folded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "MOST_FOLDED", most_folded)

    async def check() -> None:
        for name, text in TEXTS.items():
            ticket = a_ticket(title="T", description="x", requester=f"{name.replace(' ', '-')}@example.org")
            await ports.tickets.add(ticket, (), an_event(ticket))
            await ports.tickets.update(ticket.id, an_edit("changed", description=text))
        gone = a_ticket(title="T", description=" ".join(TEXTS.values()))
        await ports.tickets.add(gone, (), an_event(gone))
        await ports.tickets.update(gone.id, an_edit("deleted", deleted_at=now()))
        for text, terms, names in asked():
            for sort in (Sort.RELEVANCE, Sort.NEWEST):
                page = await ports.tickets.list_tickets(TicketQuery(terms=terms, sort=sort))
                people = {ticket.requester.partition("@")[0].replace("-", " ") for ticket in page.items}
                assert people == names, (text, sort)
            for name in names:
                where = TicketFilter(requester=(f"{name.replace(' ', '-')}@example.org",))
                page = await ports.tickets.list_tickets(TicketQuery(where, terms, Sort.RELEVANCE))
                assert len(page.items) == 1, (text, name)

    run(check())


@pytest.mark.parametrize("internal", [False, True])
def test_comments(ports: Ports, internal: bool) -> None:
    async def check() -> None:
        ticket = a_ticket()
        await ports.tickets.add(ticket, (), an_event(ticket))
        for name, text in TEXTS.items():
            comment = replace(a_comment(ticket, text, internal), author=name)
            await ports.tickets.add_comment(comment, saying(comment))
        for text, terms, names in asked():
            if any(not term.excluded for term in terms):
                page = await ports.tickets.search_comments(CommentQuery(TicketFilter(), terms, internal))
                assert {found.comment.author for found in page.items} == names, text
                page = await ports.tickets.search_comments(CommentQuery(TicketFilter(), terms, not internal))
                assert not page.items

    run(check())


def test_memories(ports: Ports) -> None:
    async def check() -> None:
        for name, text in TEXTS.items():
            await ports.memories.put(a_memory(title="T", body=text, author=name))
        for text, terms, names in asked():
            if any(not term.excluded for term in terms):
                page = await ports.memories.list_memories(MemoryQuery(terms))
                assert {memory.author for memory in page.items} == names, text

    run(check())
