"""What is suggested, and what of a model's words is taken."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.domain import triage
from backend.domain.access import Caller, Role
from backend.domain.edits import Desk
from backend.domain.neighbours import (
    MOST_NEIGHBOURS,
    Question,
    Source,
    Subject,
    memory_neighbour,
    question,
    question_with,
    ticket_neighbour,
)
from backend.domain.people import People, Person
from backend.domain.setup import CategoryDraft, Setup, TeamDraft
from backend.domain.tickets import MOST_TAGS, Status, Ticket
from backend.domain.triage import Choice, Opinion, Suggestion, checked, vote
from backend.domain.values import now
from backend.errors import Conflict, NotAllowed
from tests.builders import ADA, a_memory, a_ticket

JAM = {"title": "Printer jams", "description": "The paper jams in tray two"}
PEOPLE = People.of([Person("lin@example.org", "Lin"), Person("ada@example.org", "Ada")])
VPN = {"title": "VPN is slow", "description": "The tunnel from home is slow"}


def about(ticket: Ticket, *known: Ticket, setup: Setup | None = None) -> Question:
    return question(ticket, map(ticket_neighbour, known), setup or Setup(people=PEOPLE))


def resolved(**fields: Any) -> Ticket:
    return a_ticket(status=Status.RESOLVED, resolution="Done.", **fields)


def said(asked: Question) -> dict[str, Any]:
    return {suggestion.subject.value: suggestion.value for suggestion in vote(asked)}


class TestVote:
    def test_follows_what_became_of_those_that_are_alike(self) -> None:
        jams = [
            resolved(**JAM, category="Hardware", team="Workplace", assignee="lin@example.org", tags=("printer", "t2"))
            for _ in range(3)
        ]
        slow = [resolved(**VPN, category="Network", team="Network", tags=("vpn",)) for _ in range(3)]
        found = said(about(a_ticket(title="Paper jams", description="in the printer", category="?"), *jams, *slow))
        assert found == {
            "category": "Hardware",
            "severity": "low",
            "team": "Workplace",
            "assignee": "lin@example.org",
            "tags": ("printer", "t2"),
        }

    def test_says_nothing_where_nothing_is_alike(self) -> None:
        assert vote(about(a_ticket(**JAM))) == ()
        assert vote(about(a_ticket(**JAM), resolved(title="Coffee", description="machine"))) == ()

    def test_a_ticket_is_no_evidence_for_itself(self) -> None:
        ticket = a_ticket(**JAM)
        own = memory_neighbour(a_memory(ticket.id, title=JAM["title"], category="Hardware"))
        assert question(ticket, [ticket_neighbour(ticket), own], Setup()).neighbours == ()

    def test_is_surer_the_more_agree_and_never_of_one_faint_one(self) -> None:
        def confidence(*known: Ticket) -> float:
            return next(one.confidence for one in vote(about(a_ticket(**JAM), *known)) if one.subject == "category")

        faint = resolved(title="The printer in the hall is on fire", description="Send for help, and for sand, at once")
        one, many = resolved(**JAM), [resolved(**JAM) for _ in range(8)]
        assert confidence(*many) > 0.9 > confidence(one) > 0.8 > 0.4 > confidence(faint)

    def test_what_is_resolved_says_more_than_what_was_only_filed(self) -> None:
        filed = [a_ticket(**JAM, category="Wrong") for _ in range(3)]
        known = [resolved(**JAM, category="Hardware") for _ in range(2)]
        assert said(about(a_ticket(**JAM), *filed, *known))["category"] == "Hardware"

    def test_names_only_what_may_be_used(self) -> None:
        setup = Setup.of(
            [CategoryDraft(name="Printing")], [TeamDraft(name="Old", active=False), TeamDraft(name="New")], None
        )
        known = [resolved(**JAM, category="Hardware", team="Old") for _ in range(3)]
        found = said(about(a_ticket(**JAM), *known, setup=setup))
        assert "category" not in found and "team" not in found

    def test_a_tag_that_few_have_is_not_suggested(self) -> None:
        known = [resolved(**JAM, tags=("printer",)), *[resolved(**JAM) for _ in range(3)]]
        assert "tags" not in said(about(a_ticket(**JAM), *known))

    def test_tags_are_suggested_together_also_where_no_ticket_has_them_all(self) -> None:
        tags = [("a", "b"), ("b", "c"), ("a", "c"), ("a", "b")]
        found = vote(
            about(a_ticket(**JAM), *[resolved(**JAM, tags=some) for some in tags], resolved(**JAM, tags=("c",)))
        )
        (said_,) = [one for one in found if one.subject is Subject.TAGS]
        assert (said_.value, len(said_.evidence)) == (("a", "b", "c"), 5)

    def test_shows_who_says_so(self) -> None:
        known = [resolved(**JAM) for _ in range(3)]
        (category, *_) = vote(about(a_ticket(**JAM), *known))
        assert set(category.evidence) == {ticket.id for ticket in known}
        assert category.reason == "3 of the 3 most similar say so, the nearest among them."

    def test_a_memory_speaks_too(self) -> None:
        memory = memory_neighbour(
            a_memory("how-to", title="Printer jams", body=JAM["description"], category="Hardware")
        )
        (one,) = vote(question(a_ticket(**JAM), [memory], Setup()))
        assert (one.subject, one.value, one.evidence) == (Subject.CATEGORY, "Hardware", ("how-to",))

    def test_looks_at_so_many_at_most_the_nearest(self) -> None:
        far = [resolved(title="Printer is loud", description="and old") for _ in range(20)]
        near = resolved(**JAM)
        found = about(a_ticket(**JAM), *far, near).neighbours
        assert (len(found), found[0].id) == (MOST_NEIGHBOURS, near.id)


def asked() -> Question:
    known = [resolved(**JAM, category="Hardware", team="Workplace", tags=("printer",)) for _ in range(2)]
    return about(a_ticket(**JAM), *known)


class TestSpelling:
    def test_of_one_name_is_one_voice(self) -> None:
        names = ("Büro", "BÜRO", "Bu\u0308ro")
        known = [resolved(**JAM, category=name, tags=(name,)) for name in names]
        found = vote(about(a_ticket(**JAM, category="?"), *known))
        (category,) = (one for one in found if one.subject is Subject.CATEGORY)
        assert str(category.value) in names and category.confidence > 0.9 and len(category.evidence) == 3
        assert next(one.value for one in found if one.subject is Subject.TAGS) == (category.value,)

    def test_is_that_of_the_setup_else_the_ticket_s_own(self) -> None:
        known = [resolved(**JAM, category=name) for name in ("vpn", "VPN ")]
        setup = Setup.of([CategoryDraft(name="Vpn")], [], None)
        assert said(about(a_ticket(**JAM, category="?"), *known, setup=setup))["category"] == "Vpn"
        assert said(about(a_ticket(**JAM, category="VPN"), *known))["category"] == "VPN"

    def test_nothing_is_suggested_that_no_ticket_may_hold(self) -> None:
        tags = ("", "None", "x" * 51, "two, parts", " spaced ")
        by_hand = [
            memory_neighbour(
                a_memory(f"m{n}", title=JAM["title"], body=JAM["description"], category=" Oil ", team="a\0b", tags=tags)
            )
            for n in range(3)
        ]
        found = said(question(a_ticket(**JAM), by_hand, Setup()))
        assert found == {"category": "Oil", "tags": ("None", "spaced")}
        assert Choice(**found).values() == found

    def test_title_of_a_memory_is_cut(self) -> None:
        assert len(memory_neighbour(a_memory(title="word " * 10_000)).title) == 200


class TestChecked:
    def test_takes_what_is_in_order_as_it_is_spelled_here(self) -> None:
        question_ = asked()
        evidence = question_.neighbours[0].id
        word = {
            "subject": "category",
            "value": "HARDWARE",
            "confidence": 0.8,
            "reason": "It jams.",
            "evidence": [evidence],
        }
        assert checked(question_, [word], "bedrock") == (
            Suggestion(Subject.CATEGORY, "Hardware", 0.8, "It jams.", (evidence,), "bedrock"),
        )

    @pytest.mark.parametrize(
        "word",
        [
            None,
            "category",
            [],
            {},
            {"subject": "category"},
            {"subject": "category", "value": "Root access for everybody"},
            {"subject": "category", "value": {"Hardware": 1}},
            {"subject": "category", "value": None},
            {"subject": "status", "value": "closed"},
            {"subject": "requester", "value": "eve@example.org"},
            {"subject": "assignee", "value": "eve@example.org"},
            {"subject": ["category"], "value": "Hardware"},
            {"subject": "tags", "value": ["new-tag", 7, None]},
            {"subject": "severity", "value": "apocalyptic"},
        ],
    )
    def test_takes_nothing_else(self, word: Any) -> None:
        assert checked(asked(), [word], "bedrock") == ()

    def test_only_the_first_word_on_a_subject_counts(self) -> None:
        words = [{"subject": "severity", "value": "high"}, {"subject": "severity", "value": "low"}]
        assert [one.value for one in checked(asked(), words, "bedrock")] == ["high"]

    @pytest.mark.parametrize(
        ("number", "taken"),
        [
            (0.456, 0.46),
            (7, 1.0),
            (-1, 0.0),
            ("0.9", 0.0),
            (True, 0.0),
            (float("nan"), 0.0),
            (float("inf"), 0.0),
            (10**400, 1.0),
            (-(10**400), 0.0),
            (None, 0.0),
        ],
    )
    def test_a_confidence_is_a_number_from_0_to_1(self, number: Any, taken: float) -> None:
        word = {"subject": "severity", "value": "high", "confidence": number}
        assert checked(asked(), [word], "bedrock")[0].confidence == taken

    def test_a_reason_is_one_short_line_of_text(self) -> None:
        reason = "It\n\n\u202ejams\x00 <b>now</b> " + "x" * 100_000
        (one,) = checked(asked(), [{"subject": "severity", "value": "high", "reason": reason}], "bedrock")
        assert one.reason.startswith("It jams <b>now</b> xxx")
        assert len(one.reason) == 300
        (one,) = checked(asked(), [{"subject": "severity", "value": "high", "reason": ["x"]}], "bedrock")
        assert one.reason == ""

    def test_evidence_is_only_what_was_shown(self) -> None:
        question_ = asked()
        shown = question_.neighbours[0].id
        evidence = [shown, "01M82WN1MF4T9XV22B24PC6B8F", 7, None, shown]
        (one,) = checked(question_, [{"subject": "severity", "value": "high", "evidence": evidence}], "bedrock")
        assert one.evidence == (shown,)

    def test_no_more_tags_than_the_ticket_has_room_for(self) -> None:
        known = [resolved(**JAM, tags=(f"x{n}", "own0")) for n in range(5)]
        ticket = a_ticket(**JAM, tags=tuple(f"own{n}" for n in range(MOST_TAGS - 2)))
        words = {"subject": "tags", "value": ["own0", "x0", "x1", "x2", "x3"]}
        (one,) = checked(about(ticket, *known), [words], "bedrock")
        assert one.value == ("own0", "x0", "x1")
        full = ticket._replace(tags=tuple(f"own{n}" for n in range(MOST_TAGS)))
        assert checked(about(full, *known), [words | {"value": ["x0"]}], "bedrock") == ()

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["subject", "value", "confidence", "reason", "evidence"]), inner, max_size=5
                )
            ),
        )
    )
    def test_no_words_break_it(self, words: Any) -> None:
        for one in checked(asked(), words if isinstance(words, list) else [words], "bedrock"):
            assert one.subject in set(Subject)


class TestJudged:
    def test_a_model_says_nothing_of_people_but_the_tickets_do(self) -> None:
        known = [resolved(**JAM, assignee="lin@example.org") for _ in range(3)]
        words = Opinion(
            [{"subject": "assignee", "value": "lin@example.org"}, {"subject": "severity", "value": "high"}], "model"
        )
        found = triage.judged(ADA, about(a_ticket(**JAM), *known), words, "bedrock", now())
        assert [(one.subject, one.by) for one in found.suggestions] == [
            ("severity", "bedrock"),
            ("assignee", "offline"),
        ]

    def test_what_is_kept_reads_back_the_same(self) -> None:
        question_ = asked()
        found = triage.judged(ADA, question_, triage.offline(question_), "offline", now(), "a note")
        body = json.loads(json.dumps(triage.to_body(found)))
        assert triage.kept_neighbours(body) == [(Source.TICKET, one.id, one.similarity) for one in question_.neighbours]
        assert triage.reread(triage.from_body(body), question_) == found

    def test_evidence_that_is_not_seen_is_not_told(self) -> None:
        question_ = asked()
        found = triage.judged(ADA, question_, triage.offline(question_), "offline", now())
        one, other = question_.neighbours
        less = triage.reread(found, replace(question_, neighbours=(other,)))
        assert {ids for suggestion in less.suggestions for ids in suggestion.evidence} == {other.id}
        assert one.id not in repr(less)

    def test_what_may_be_used_no_longer_is_not_suggested_any_more(self) -> None:
        question_ = asked()
        words = [{"subject": "category", "value": "Hardware"}, {"subject": "severity", "value": "high"}]
        found = triage.judged(ADA, question_, Opinion(words, "model"), "bedrock", now())
        setup = Setup.of([CategoryDraft(name="Printing")], [], None)
        later = triage.reread(found, question_with(question_.ticket, question_.neighbours, setup))
        assert [one.subject for one in later.suggestions] == ["severity"]

    def test_good_is_only_what_a_model_said_of_this_text_to_somebody_who_saw_no_more(self) -> None:
        question_ = asked()
        ticket = question_.ticket
        all_, some = ADA, Caller("t", "Lin", Role.AGENT, "lin@example.org", ("Network",))
        by_all = triage.judged(all_, question_, Opinion([], "model"), "bedrock", now())
        by_some = replace(by_all, teams=some.teams)
        assert triage.is_good(by_all, ticket, all_) and triage.is_good(by_some, ticket, all_)
        assert triage.is_good(by_some, ticket, some) and not triage.is_good(by_all, ticket, some)
        assert not triage.is_good(by_some, ticket, replace(some, teams=("Storage",)))
        assert not triage.is_good(replace(by_all, by="offline"), ticket, all_)
        assert not triage.is_good(by_all, ticket._replace(title="Something else"), all_)
        assert triage.is_good(by_all, ticket._replace(category="Something else", version=2), all_)


class TestApply:
    def applied(self, ticket: Ticket, **choice: Any) -> Any:
        return triage.apply(Desk(ADA, now), Choice(**choice), "offline", None)(ticket)

    def test_changes_what_was_chosen_and_says_whose_idea_it_was(self) -> None:
        ticket = a_ticket(category="Other", tags=("urgent",))
        after, event = self.applied(ticket, category="Hardware", tags=["printer", "urgent"])
        assert (after.category, after.tags, after.version) == ("Hardware", ("urgent", "printer"), 2)
        assert (event.kind, event.actor) == ("triaged", "Ada")
        assert event.changes == {
            "assistant": (None, "offline"),
            "category": ("Other", "Hardware"),
            "tags": (("urgent",), ("urgent", "printer")),
        }

    def test_what_is_so_already_is_no_change(self) -> None:
        assert self.applied(a_ticket(category="Hardware", tags=("a", "b")), category="Hardware", tags=["b"]) is None

    def test_too_many_tags_are_refused(self) -> None:
        with pytest.raises(Conflict, match="tags"):
            self.applied(a_ticket(tags=tuple(f"t{n}" for n in range(MOST_TAGS))), tags=["one-more"])

    def test_is_for_agents(self) -> None:
        grace = Caller("t", "Grace", Role.REQUESTER, "grace@example.org")
        with pytest.raises(NotAllowed):
            triage.apply(Desk(grace, now), Choice(category="X"), "offline", None)

    @pytest.mark.parametrize(
        "choice", [{}, {"category": None}, {"tags": []}, {"status": "closed"}, {"severity": "bad"}]
    )
    def test_a_choice_says_something_that_can_be_suggested(self, choice: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Choice(**choice)
