"""The port `Assistant`, always on both adapters: the model behind the second is a stand-in that needs nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.domain.neighbours import Neighbour, Question, Subject, memory_neighbour, ticket_neighbour
from backend.domain.triage import Suggestion, checked
from backend.ports import Assistant
from backend.settings import load_settings
from backend.wiring import wire
from tests.builders import a_memory, a_ticket
from tests.conftest import variables
from tests.models import VARIABLES

ALLOWED = {
    Subject.CATEGORY: ("Hardware", "Network"),
    Subject.SEVERITY: ("low", "medium", "high", "critical"),
    Subject.TEAM: ("First line", "Networks"),
    Subject.ASSIGNEE: ("ada@example.org",),
    Subject.TAGS: ("printer", "vpn", "wifi"),
}


@pytest.fixture(params=["offline", "bedrock"])
def assistant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Assistant]:
    more: dict[str, str] = {}
    if request.param == "bedrock":
        request.getfixturevalue("models")
        more = VARIABLES
    found = wire(load_settings(variables(tmp_path, **more), Path("/nonexistent"))).assistant
    assert found.adapter == request.param
    found.open()
    yield found
    found.close()


def near(similarity: float = 0.8, **fields: Any) -> Neighbour:
    known = {"status": "resolved", "resolution": "Renewed the certificate.", "category": "Network", "severity": "high"}
    return replace(ticket_neighbour(a_ticket(**(known | fields))), similarity=similarity)


def question(*neighbours: Neighbour, **more: Any) -> Question:
    return Question(a_ticket(title="VPN", description="It says no"), neighbours, ALLOWED | more)


def asked(assistant: Assistant, about: Question) -> dict[Subject, Suggestion]:
    opinion = asyncio.run(assistant.suggest(about))
    return {one.subject: one for one in checked(about, opinion.said, assistant.adapter)}


def test_says_what_those_like_it_were_and_names_them(assistant: Assistant) -> None:
    one, other = near(team="Networks", tags=("vpn", "wifi")), near(0.7, team="Networks", tags=("vpn",))
    found = asked(assistant, question(one, other))
    assert {subject: found[subject].value for subject in (Subject.CATEGORY, Subject.TEAM, Subject.SEVERITY)} == {
        Subject.CATEGORY: "Network",
        Subject.TEAM: "Networks",
        Subject.SEVERITY: "high",
    }
    assert found[Subject.TAGS].value == ("vpn", "wifi")
    assert set(found[Subject.CATEGORY].evidence) == {one.id, other.id}
    for suggestion in found.values():
        assert 0 < suggestion.confidence <= 1 and suggestion.reason and suggestion.by == assistant.adapter


def test_learns_from_memories(assistant: Assistant) -> None:
    memory = replace(memory_neighbour(a_memory(category="Network", tags=("vpn",))), similarity=0.9)
    found = asked(assistant, question(memory))
    assert (found[Subject.CATEGORY].value, found[Subject.CATEGORY].evidence) == ("Network", (memory.id,))


def test_says_nothing_where_nothing_is_alike(assistant: Assistant) -> None:
    assert asked(assistant, question()) == {}


def test_says_only_what_there_is(assistant: Assistant) -> None:
    found = asked(assistant, question(near(category="Gone", tags=("old",)), **{Subject.TEAM: ()}))
    assert set(found) == {Subject.SEVERITY}


def test_answers_about_the_largest_that_there_is(assistant: Assistant) -> None:
    big = {"title": "é" * 200, "description": '"<' * 10_000, "tags": tuple(f"{n:050}" for n in range(20))}
    named = {Subject.CATEGORY: tuple(f"{n:0100}" for n in range(1_000))}
    about = question(*(near(0.9 - n / 100, **big, category=f"{n % 2:0100}") for n in range(15)), **named)
    found = asked(assistant, replace(about, ticket=a_ticket(**big)))
    assert found[Subject.CATEGORY].value == f"{0:0100}"


def test_many_are_answered_at_once_each_its_own(assistant: Assistant) -> None:
    about = [question(near(category=("Network", "Hardware")[n % 2])) for n in range(16)]

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(assistant.suggest(one) for one in about))

    for one, opinion in zip(about, asyncio.run(all_of_them()), strict=True):
        (found,) = [said for said in checked(one, opinion.said, "x") if said.subject is Subject.CATEGORY]
        assert (found.value, found.evidence) == (one.neighbours[0].values[Subject.CATEGORY], (one.neighbours[0].id,))


def test_is_well_before_and_after_it_was_asked(assistant: Assistant) -> None:
    asyncio.run(assistant.probe())
    asked(assistant, question(near()))
    asyncio.run(assistant.probe())


def test_can_be_opened_again(assistant: Assistant) -> None:
    assistant.close()
    assistant.open()
    assert asked(assistant, question(near()))


def test_says_which_model_it_asked(assistant: Assistant, request: pytest.FixtureRequest) -> None:
    opinion = asyncio.run(assistant.suggest(question(near())))
    assert opinion.model == (VARIABLES["BEDROCK_MODEL_ID"] if assistant.remote else None)
