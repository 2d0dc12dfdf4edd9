"""Tickets' lives, played at random through the API against a model of a few lines."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from backend.domain.tickets import ACTIVE, COUNTERPART, TRANSITIONS, LinkKind, Status
from tests.conftest import Client

GRACE, ADA = "grace@example.org", "ada@example.org"
which = st.integers(0, 4)


@dataclass
class Model:
    """What a ticket should be."""

    id: str
    requester: str
    status: Status = Status.OPEN
    assignee: str | None = None
    deleted: bool = False
    version: int = 1
    comments: list[str | None] = field(default_factory=list)
    """Of each the merged ticket that it came via."""
    links: dict[str, LinkKind] = field(default_factory=dict)
    watchers: set[str] = field(default_factory=set)
    participants: list[tuple[str, str]] = field(default_factory=list)

    def is_graces(self) -> bool:
        """Whether the requester may see it."""
        return not self.deleted and GRACE in {self.requester, *(address for _, address in self.participants)}

    @property
    def merged(self) -> bool:
        return LinkKind.MERGED_INTO in self.links.values()

    @property
    def frozen(self) -> bool:
        return self.deleted or self.merged

    def change(self, **values: Any) -> None:
        """What a change does, if it is one."""
        if any(getattr(self, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(self, name, value)
            self.version += 1

    def reopen(self) -> None:
        """What an answer does to what is over."""
        self.change(status=Status.IN_PROGRESS if self.assignee else Status.OPEN)

    def tie(self, other: "Model", kind: LinkKind | None) -> None:
        self.links.pop(other.id, None)
        if kind:
            self.links[other.id] = kind
        self.version += 1


class Life(RuleBasedStateMachine):
    """Each rule asks the API and the model for the same, and holds the answers together."""

    runs = 0

    def __init__(self, agent: Client, requester: Client) -> None:
        super().__init__()
        self.agent, self.requester = agent, requester
        Life.runs += 1
        self.tag = f"run-{Life.runs}"
        self.tickets: list[Model] = []

    @initialize()
    def begin(self) -> None:
        for number in range(3):
            self.file(by_requester=number != 1)

    @rule(by_requester=st.booleans())
    def file(self, by_requester: bool) -> None:
        if len(self.tickets) < 5:
            body = self.requester.ticket(tags=[self.tag]) if by_requester else self.agent.ticket(tags=[self.tag])
            self.tickets.append(Model(body["id"], body["requester"]))

    def one(self, number: int) -> Model:
        return self.tickets[number % len(self.tickets)]

    def ask(self, ticket: Model, call: str, ok: bool, body: Any = None, who: Client | None = None, **more: Any) -> None:
        """POST, and hold the status against whether it should succeed."""
        answer = (who or self.agent).post(f"/api/tickets/{ticket.id}/{call}", json=body, **more)
        assert answer.is_success == ok, f"{call}: {answer.status_code} {answer.text}"
        assert ok or answer.status_code in (404, 409, 412, 422), answer.text

    def check(self, *tickets: Model) -> None:
        """The API has each as the model has it."""
        for ticket in tickets:
            found = self.agent.get(f"/api/tickets/{ticket.id}").json()
            assert found["status"] == ticket.status
            assert found["assignee"] == ticket.assignee
            assert found["version"] == ticket.version
            assert ("deleted_at" in found) == ticket.deleted
            assert set(found["watchers"]) == ticket.watchers
            assert {link["ticket_id"]: link["kind"] for link in found["links"]} == ticket.links
            assert {(one["ticket_id"], one["address"]) for one in found["participants"]} == set(ticket.participants)
            assert self.requester.get(f"/api/tickets/{ticket.id}").is_success == ticket.is_graces()
            assert (found["resolved_at"] is None) == (ticket.status in ACTIVE)
            assert (found["paused_at"] is None) == (ticket.status is not Status.WAITING)

    @rule(number=which, by_requester=st.booleans())
    def comment(self, number: int, by_requester: bool) -> None:
        ticket = self.one(number)
        ok = ticket.is_graces() if by_requester else not ticket.frozen
        self.ask(ticket, "comments", ok, {"body": "Hello"}, self.requester if by_requester else self.agent)
        chain = self.chain(ticket)
        if ok:
            end = chain[-1]
            if end.deleted:
                self.split(chain)
                end = ticket
            end.comments.append(ticket.id if end is not ticket else self.via(end) if by_requester else None)
            end.version += 1
            if by_requester or ADA in {end.requester, *(address for _, address in end.participants)}:
                if end.status is Status.WAITING:
                    end.status = Status.OPEN
                if end.status not in ACTIVE:
                    end.reopen()
        self.check(*chain)

    def via(self, ticket: Model) -> str | None:
        """The ticket through which the requester is heard there."""
        return None if ticket.requester == GRACE else next(one for one, who in ticket.participants if who == GRACE)

    def chain(self, ticket: Model) -> list[Model]:
        """The ticket and all that it came to by merging."""
        found = [ticket]
        while after := [one for one in self.tickets if found[-1].links.get(one.id) is LinkKind.MERGED_INTO]:
            found += after
        return found

    def split(self, chain: list[Model]) -> None:
        ticket, other, *above = chain
        del ticket.links[other.id]
        ticket.change(status=Status.OPEN)
        other.tie(ticket, None)
        gone = {ticket.id, *(one for one, _ in ticket.participants)}
        for one in (other, *above):
            stay = [pair for pair in one.participants if pair[0] not in gone]
            one.watchers -= {address for _, address in one.participants} - {address for _, address in stay}
            one.participants = stay
            ticket.comments += [None if via == ticket.id else via for via in one.comments if via in gone]
            one.comments = [via for via in one.comments if via not in gone]
        for one in above:
            one.version += 1

    @rule(number=which, status=st.sampled_from(Status), stale=st.booleans())
    def move(self, number: int, status: Status, stale: bool) -> None:
        ticket = self.one(number)
        headers = {"if-match": f'"{ticket.version - stale}"'}
        answer = self.agent.patch(f"/api/tickets/{ticket.id}", json={"status": status}, headers=headers)
        legal = status == ticket.status or status in TRANSITIONS[ticket.status]
        if ticket.deleted:
            assert answer.status_code == 409
        elif stale:
            assert answer.status_code == 412
        else:
            assert answer.status_code == (200 if legal and not ticket.merged else 409)
        if answer.is_success:
            ticket.change(status=status)
        self.check(ticket)

    @rule(number=which, assignee=st.sampled_from([None, "ada@example.org", "admin"]))
    def assign(self, number: int, assignee: str | None) -> None:
        ticket = self.one(number)
        answer = self.agent.patch(f"/api/tickets/{ticket.id}", json={"assignee": assignee})
        assert answer.is_success != ticket.frozen
        if answer.is_success:
            ticket.change(assignee=assignee)

    @rule(number=which)
    def resolve(self, number: int) -> None:
        ticket = self.one(number)
        ok = not ticket.frozen and ticket.status in ACTIVE
        self.ask(ticket, "resolve", ok, {"resolution": "Done", "remember": False})
        if ok:
            ticket.change(status=Status.RESOLVED)
        self.check(ticket)

    @rule(number=which)
    def reopen_or_split(self, number: int) -> None:
        ticket = self.one(number)
        ok = not ticket.deleted and ticket.status not in ACTIVE
        self.ask(ticket, "reopen", ok)
        if ok:
            chain = self.chain(ticket)
            if len(chain) > 1:
                self.split(chain)
                self.check(*chain)
            else:
                ticket.change(status=Status.OPEN)
        self.check(ticket)

    @rule(number=which)
    def trash_or_restore(self, number: int) -> None:
        ticket = self.one(number)
        if ticket.deleted:
            self.ask(ticket, "restore", True)
        else:
            assert self.agent.delete(f"/api/tickets/{ticket.id}").status_code == 204
        ticket.change(deleted=not ticket.deleted)
        self.check(ticket)

    @rule(number=which, into=which, reopen=st.booleans())
    def merge(self, number: int, into: int, reopen: bool) -> None:
        ticket, other = self.one(number), self.one(into)
        ok = ticket is not other and not ticket.frozen and not other.frozen
        self.ask(ticket, "merge", ok, {"into": other.id} | ({} if reopen else {"reopen": False}))
        if ok:
            revives = reopen and ticket.status in ACTIVE and other.status not in ACTIVE
            other.participants += [*ticket.participants, (ticket.id, ticket.requester)]
            ticket.tie(other, LinkKind.MERGED_INTO)
            ticket.status = Status.CLOSED
            other.tie(ticket, LinkKind.MERGED_FROM)
            other.watchers |= (ticket.watchers | {ticket.requester}) - {other.requester}
            other.watchers.discard(other.requester)
            if revives:
                other.reopen()
        self.check(ticket, other)

    @rule(number=which, to=which, kind=st.sampled_from([LinkKind.RELATED, LinkKind.DUPLICATE_OF]))
    def link(self, number: int, to: int, kind: LinkKind) -> None:
        ticket, other = self.one(number), self.one(to)
        same = ticket.links.get(other.id) is kind
        tied = ticket.links.get(other.id) is LinkKind.MERGED_FROM
        ok = ticket is not other and not ticket.frozen and not tied and (same or not other.frozen)
        self.ask(ticket, "links", ok, {"kind": kind, "ticket_id": other.id})
        if ok and not same:
            ticket.tie(other, kind)
            other.tie(ticket, COUNTERPART[kind])
        self.check(ticket, other)

    @rule(number=which, to=which)
    def unlink(self, number: int, to: int) -> None:
        ticket, other = self.one(number), self.one(to)
        answer = self.agent.delete(f"/api/tickets/{ticket.id}/links/{other.id}")
        by_hand = ticket.links.get(other.id) in (LinkKind.RELATED, LinkKind.DUPLICATE_OF, LinkKind.DUPLICATED_BY)
        assert (answer.status_code == 204) == (by_hand and not ticket.frozen), answer.text
        if answer.is_success:
            ticket.tie(other, None)
            other.tie(ticket, None)
        self.check(ticket, other)

    @rule(number=which, watching=st.booleans())
    def watch(self, number: int, watching: bool) -> None:
        ticket = self.one(number)
        self.ask(ticket, "watch" if watching else "unwatch", not ticket.frozen)
        if not ticket.frozen:
            me = {"ada@example.org"}
            ticket.change(watchers=ticket.watchers | me if watching else ticket.watchers - me)

    @rule(
        numbers=st.sets(which, min_size=1), whole=st.booleans(), action=st.sampled_from(["change", "delete", "restore"])
    )
    def bulk(self, numbers: set[int], whole: bool, action: str) -> None:
        chosen = list({ticket.id: ticket for ticket in map(self.one, numbers)}.values())
        body = {"tickets": [{"id": t.id, "version": t.version} for t in chosen], "action": action}
        body |= {"mode": "all" if whole else "each"} | ({"change": {"assignee": "admin"}} if action == "change" else {})
        able = {"change": lambda t: not t.frozen, "delete": lambda t: not t.deleted, "restore": lambda t: t.deleted}
        good = [ticket for ticket in chosen if able[action](ticket)]
        answer = self.agent.post("/api/tickets/bulk", json=body)
        if whole and len(good) < len(chosen):
            assert answer.status_code == 409
            assert len(answer.json()["errors"]) == len(chosen) - len(good)
        else:
            assert [item["status"] == 200 for item in answer.json()["items"]] == [t in good for t in chosen]
            for ticket in good:
                ticket.change(**({"assignee": "admin"} if action == "change" else {"deleted": action == "delete"}))
        self.check(*chosen)

    def teardown(self) -> None:
        self.check(*self.tickets)
        for ticket in self.tickets:
            for listing, count in (("history", ticket.version), ("comments", len(ticket.comments))):
                items = self.agent.get(f"/api/tickets/{ticket.id}/{listing}?limit=200").json()["items"]
                assert len(items) == count, f"{listing}: a line for every version, and nothing said is lost"
        for deleted in (False, True):
            address = f"/api/tickets?tag={self.tag}&deleted={str(deleted).lower()}"
            listed = {ticket["id"] for ticket in self.agent.get(address).json()["items"]}
            assert listed == {ticket.id for ticket in self.tickets if ticket.deleted is deleted}
        seen = {ticket["id"] for ticket in self.requester.get(f"/api/tickets?tag={self.tag}").json()["items"]}
        assert seen == {t.id for t in self.tickets if t.is_graces()}


def test_every_life_goes_as_the_model_says(agent: Client, requester: Client) -> None:
    chosen = settings(max_examples=8, stateful_step_count=16, suppress_health_check=list(HealthCheck), deadline=None)
    run_state_machine_as_test(lambda: Life(agent, requester), settings=chosen)
