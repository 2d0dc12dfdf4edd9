"""What requesters send on tickets that are over, or were merged, is heard: by the API and on the page."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.pages import TicketFilter, TicketQuery
from backend.domain.tickets import Ticket, Written
from tests.builders import an_event
from tests.conftest import Client, problem
from tests.web.test_links import kinds, merged, path, read
from tests.web.test_pages import page, send


def say(client: Client, ticket: dict[str, Any], body: str = "It is back again!", **more: Any) -> Any:
    return client.post(f"{path(ticket)}/comments", json={"body": body}, **more)


def resolve(client: Client, ticket: dict[str, Any], resolution: str = "Off and on") -> dict[str, Any]:
    answer = client.post(f"{path(ticket)}/resolve", json={"resolution": resolution, "remember": False})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bodies(client: Client, ticket: dict[str, Any]) -> list[str]:
    return [item["body"] for item in client.get(f"{path(ticket)}/comments").json()["items"]]


@pytest.fixture
def late(app: FastAPI, admin: Client) -> None:
    """Whatever is over has been so for too long."""
    object.__setattr__(app.state.ports, "reopen_days", 0)


@pytest.fixture
def emma(person: Callable[..., Client]) -> Client:
    return person("requester", "Emma")


class TestAnsweringWhatIsOver:
    @pytest.mark.parametrize(
        ("over", "assignee", "after"),
        [
            ("resolved", "ada@example.org", "in_progress"),
            ("resolved", None, "open"),
            ("closed", "ada@example.org", "in_progress"),
            ("closed", None, "open"),
        ],
    )
    def test_reopens_it(self, agent: Client, requester: Client, over: str, assignee: str | None, after: str) -> None:
        ticket = requester.ticket()
        agent.patch(path(ticket), json={"assignee": assignee})
        if over == "resolved":
            resolve(agent, ticket)
        else:
            agent.patch(path(ticket), json={"status": "closed"})
        answer = say(requester, ticket)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["ticket_id"], answer.headers["location"]) == (ticket["id"], path(ticket))
        found = read(agent, ticket)
        assert (found["status"], found["resolved_at"]) == (after, None)
        assert found["promised_from"] is not None, "the clocks go on as reopening has them"
        *_, said, reopened = requester.get(f"{path(ticket)}/history").json()["items"]
        assert (said["kind"], reopened["kind"], reopened["actor"]) == ("commented", "reopened", "Grace")
        assert reopened["changes"]["status"] == {"from": over, "to": after}
        assert reopened["changes"]["reason"] == {"from": None, "to": "answered"}
        assert bodies(agent, ticket) == ["It is back again!"]
        assert ticket["id"] in [item["id"] for item in agent.get(f"/api/tickets?status={after}").json()["items"]]

    def test_files_alone_reopen_it_too(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        resolve(agent, ticket)
        assert requester.attach(ticket["id"], b"again").status_code == 201
        assert read(agent, ticket)["status"] == "open"
        assert kinds(agent, ticket)[-2:] == ["attached", "reopened"]

    def test_agents_and_notes_do_not_unless_it_is_their_own(self, agent: Client, requester: Client) -> None:
        ticket, own = requester.ticket(), agent.ticket()
        for one in (ticket, own):
            resolve(agent, one)
        assert say(agent, ticket, "For the record").status_code == 201
        agent.attach(ticket["id"], b"log")
        for one in (ticket, own):
            agent.post(f"{path(one)}/comments", json={"body": "Note", "internal": True})
            assert read(agent, one)["status"] == "resolved"
        assert say(agent, own).status_code == 201
        assert read(agent, own)["status"] == "open"

    def test_takes_effect_once(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        resolve(agent, ticket)
        key = {"idempotency-key": "k"}
        first = say(requester, ticket, headers=key)
        resolve(agent, ticket)
        again = say(requester, ticket, headers=key)
        assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
        assert again.headers["idempotency-replayed"] == "true"
        assert (read(agent, ticket)["status"], len(bodies(agent, ticket))) == ("resolved", 1)

    def test_is_told_live_and_can_be_hooked_on(self, app: FastAPI, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        resolve(agent, ticket)
        say(requester, ticket)
        events = asyncio.run(app.state.ports.tickets.list_events(0, 500))
        assert [one.event.kind for one in events] == ["created", "resolved", "commented", "reopened"]

    @pytest.mark.usefixtures("late")
    def test_long_after_opens_a_new_ticket(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket(title="Printer", severity="high", tags=["hp"])
        agent.patch(path(ticket), json={"team": "Desk", "assignee": "ada@example.org"})
        resolve(agent, ticket)
        key = {"idempotency-key": "k"}
        answer = say(requester, ticket, headers=key)
        new = read(requester, {"id": answer.json()["ticket_id"]})
        assert answer.status_code == 201 and answer.headers["location"] == path(new) != path(ticket)
        shown = {name: new[name] for name in ("title", "description", "severity", "category", "team", "tags", "status")}
        assert shown == {
            "title": "Re: Printer",
            "description": "It is back again!",
            "severity": "high",
            "category": ticket["category"],
            "team": "Desk",
            "tags": ["hp"],
            "status": "open",
        }
        assert (new["requester"], new["assignee"], new["number"]) == ("grace@example.org", None, ticket["number"] + 1)
        assert new["links"] == [{"kind": "follows", "ticket_id": ticket["id"]}]
        old = read(agent, ticket)
        assert (old["status"], old["links"]) == ("resolved", [{"kind": "followed_by", "ticket_id": new["id"]}])
        assert (kinds(requester, ticket)[-1], kinds(requester, new)) == ("followed", ["created"])
        assert bodies(agent, ticket) == bodies(agent, new) == []
        assert say(requester, ticket, headers=key).json() == answer.json()
        assert len(agent.get("/api/tickets").json()["items"]) == 2, "replayed"
        assert say(requester, {"id": new["id"]}, "More").json()["ticket_id"] == new["id"]
        for body in ("Further", "And further"):
            further = say(requester, ticket, body)
            assert (further.status_code, further.json()["ticket_id"]) == (201, new["id"])
            assert further.headers["location"] == path(new)
        (file,) = requester.attach(ticket["id"], b"see").json()["items"]
        assert new["id"] in file["url"] and requester.get(file["url"]).content == b"see"
        assert bodies(agent, new) == ["More", "Further", "And further"]
        assert len(agent.get("/api/tickets").json()["items"]) == 2
        assert read(agent, ticket)["links"] == old["links"]

    @pytest.mark.usefixtures("late")
    def test_long_after_files_alone_open_one_and_hang_on_it(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        resolve(agent, ticket)
        (file,) = requester.attach(ticket["id"], b"again", name="again.txt").json()["items"]
        assert requester.get(file["url"]).content == b"again"
        new = read(requester, {"id": file["url"].split("/")[3]})
        assert (
            new["id"] != ticket["id"]
            and "again.txt" in new["description"]
            and f"#{ticket['number']}" in new["description"]
        )
        assert requester.get(f"{path(ticket)}/attachments").json()["items"] == []


class TestMergedRequesters:
    def test_words_and_files_go_to_the_other_ticket(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        for one, word in ((hers, "On mine"), (target, "On theirs")):
            answer = say(emma, one, word)
            assert (answer.status_code, answer.json()["ticket_id"]) == (201, target["id"])
            assert answer.headers["location"] == path(target)
        assert bodies(agent, target) == bodies(emma, target) == ["On mine", "On theirs"]
        (file,) = emma.attach(hers["id"], b"see").json()["items"]
        assert target["id"] in file["url"] and requester.get(file["url"]).content == b"see"
        assert read(agent, hers)["version"] == 2 and bodies(agent, hers) == []

    @pytest.mark.parametrize("days", [30, 0])
    def test_words_with_files_stay_together(
        self, app: FastAPI, agent: Client, requester: Client, emma: Client, days: int
    ) -> None:
        object.__setattr__(app.state.ports, "reopen_days", days)
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        resolve(agent, target)
        sent = {"data": {"body": "See the log"}, "files": {"files": ("a.log", b"log")}}
        answer = emma.post(f"{path(hers)}/comments", **sent)
        assert answer.status_code == 201, answer.text
        where, (file,) = answer.json()["ticket_id"], answer.json()["attachments"]
        assert (where == target["id"]) == (days == 30)
        assert file["url"].startswith(f"/api/tickets/{where}/") and emma.get(file["url"]).content == b"log"
        assert read(agent, {"id": where})["status"] == "open"
        more = {"files": {"files": ("b.log", b"more")}, "follow_redirects": False}
        there = emma.post(f"/tickets/{hers['id']}/attachments", **more).headers["location"]
        assert there.startswith("/tickets/") and there.endswith(f"?sent={hers['id']}#latest")
        assert agent.get(f"{path(hers)}/attachments").json()["items"] == []

    def test_find_it_in_their_list_and_by_searching(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(title="Hers"), requester.ticket(title="Kaleidoscope")
        say(agent, target, "Turn the tube slowly")
        merged(agent, hers, target)

        def found(client: Client, question: str) -> set[str]:
            return {item["id"] for item in client.get(question).json()["items"]}

        questions = ("/api/tickets", "/api/tickets?sort=number", "/api/tickets?sort=-updated_at&status=open")
        for question in (*questions, "/api/tickets?q=kaleidoscope", "/api/tickets?q=kaleidoscope&sort=number"):
            assert target["id"] in found(emma, question), question
        assert found(emma, "/api/tickets?requester=emma@example.org") == {hers["id"]}
        hits = emma.get("/api/search?q=tube").json()["items"]
        assert [(hit["kind"], hit["ticket_id"]) for hit in hits] == [("comment", target["id"])]
        assert found(emma, "/api/search?q=kaleidoscope") == {target["id"]}
        agent.post(f"{path(hers)}/reopen")
        for question in (*questions, "/api/tickets?q=kaleidoscope", "/api/search?q=tube", "/api/search?q=kaleidoscope"):
            assert target["id"] not in found(emma, question), question

    def test_chains_lead_to_the_end(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, middle, end = emma.ticket(), agent.ticket(), requester.ticket()
        merged(agent, hers, middle)
        merged(agent, middle, end)
        assert say(emma, hers).json()["ticket_id"] == end["id"]
        assert read(emma, hers)["merged_into"]["id"] == end["id"]
        agent.post(f"{path(hers)}/reopen")
        for other in (middle, end):
            assert emma.get(path(other)).status_code == 404
        assert [one["address"] for one in read(agent, end)["participants"]] == ["ada@example.org"]
        agent.post(f"{path(middle)}/reopen")
        assert read(agent, end)["participants"] == []

    def test_hers_goes_on_by_itself_where_the_other_is_in_the_trash(
        self, agent: Client, requester: Client, emma: Client
    ) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        agent.delete(path(target))
        assert emma.get(path(target)).status_code == 404
        answer = say(emma, hers)
        assert (answer.status_code, answer.json()["ticket_id"]) == (201, hers["id"])
        assert (read(agent, hers)["status"], read(agent, hers)["links"]) == ("open", [])
        assert read(agent, target)["participants"] == []

    @pytest.mark.parametrize("over", ["resolved", "closed"])
    def test_merging_into_what_is_over_reopens_it_unless_told_otherwise(
        self, agent: Client, requester: Client, emma: Client, over: str
    ) -> None:
        for reopen, after in ((None, "open"), (True, "open"), (False, over)):
            hers, target = emma.ticket(), requester.ticket()
            resolve(agent, target) if over == "resolved" else agent.patch(path(target), json={"status": "closed"})
            body = {"into": target["id"]} | ({} if reopen is None else {"reopen": reopen})
            assert agent.post(f"{path(hers)}/merge", json=body).status_code == 200
            assert read(agent, target)["status"] == after
            assert kinds(agent, target)[-1] == ("absorbed" if after == over else "reopened")
            assert say(emma, hers).status_code == 201
            assert read(agent, target)["status"] == "open", "and her answer does so in any case"

    def test_merging_what_is_over_itself_reopens_nothing(self, agent: Client, requester: Client) -> None:
        one, target = requester.ticket(), requester.ticket()
        for ticket in (one, target):
            resolve(agent, ticket)
        merged(agent, one, target)
        assert read(agent, target)["status"] == "resolved"

    @pytest.mark.usefixtures("late")
    def test_long_after_a_new_ticket_is_hers(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        resolve(agent, target)
        new = read(emma, {"id": say(emma, hers).json()["ticket_id"]})
        assert new["requester"] == "emma@example.org" and requester.get(path(new)).status_code == 404
        assert new["links"] == [{"kind": "follows", "ticket_id": target["id"]}]

    def test_count_once(self, agent: Client, requester: Client, emma: Client) -> None:
        def counts() -> list[int]:
            found = agent.get("/api/stats?days=1").json()
            (day,) = found["days"]
            return [day["opened"], day["resolved"], day["backlog"], found["resolution"]["count"]]

        hers, target = emma.ticket(), requester.ticket()
        assert counts() == [2, 0, 2, 0]
        merged(agent, hers, target)
        assert counts() == [1, 0, 1, 0]
        resolve(agent, target)
        assert counts() == [1, 1, 0, 1]
        agent.post(f"{path(hers)}/reopen")
        assert counts() == [2, 1, 1, 1]

    def test_whoever_was_merged_by_an_older_version_is_heard(
        self, app: FastAPI, agent: Client, requester: Client, emma: Client
    ) -> None:
        """An older version wrote nobody down as taking part."""
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)

        def forget(ticket: Ticket) -> Written:
            return ticket._replace(participants=()), an_event(ticket, "changed")

        asyncio.run(app.state.ports.tickets.update(target["id"], forget))
        assert emma.get(path(target)).status_code == 404
        assert "merged_into" not in read(emma, hers)
        html = page(emma.get(f"/tickets/{hers['id']}"))
        assert "merged into another one" in html and 'id="edit"' not in html
        assert say(emma, hers).json()["ticket_id"] == target["id"]
        assert bodies(emma, target) == ["It is back again!"]


class TestPages:
    def test_say_what_sending_does(self, agent: Client, requester: Client, app: FastAPI) -> None:
        ticket = requester.ticket()
        at = f"/tickets/{ticket['id']}"
        assert "reopens the ticket" not in page(requester.get(at))
        resolve(agent, ticket)
        assert "Sending this reopens the ticket." in page(requester.get(at))
        assert "reopens the ticket" not in page(agent.get(at))
        object.__setattr__(app.state.ports, "reopen_days", 0)
        assert "sending this opens a new one" in page(requester.get(at))
        done = send(requester, f"{at}/comments", body="It is back again!", once="x")
        where = done.headers["location"]
        assert done.status_code == 303 and not where.startswith(at)
        html = page(requester.get(where))
        assert f"#{ticket['number']}</a> had long been over, so what you sent opened this new ticket" in html
        assert "It is back again!" in html and "by answering on" in html
        assert send(requester, f"{at}/comments", body="It is back again!", once="x").headers["location"] == where
        html = page(requester.get(at))
        assert "which opened" in html and "Re: " in html
        link = f'<a href="{where.partition("?")[0]}" dir="auto">'
        assert (
            f"This ticket has long been over: sending this answers on {link}" in html and "opens a new one" not in html
        )
        assert ", where you went on." in html
        done = send(requester, f"{at}/comments", body="And I forgot", once="y")
        assert done.headers["location"].partition("?")[0] == where.partition("?")[0]
        html = page(requester.get(done.headers["location"]))
        assert "is here: that one has long been over, and you go on in this one." in html and "And I forgot" in html

    def test_show_each_resolution_at_its_own_time(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        resolve(agent, ticket, "Signed out and in")
        say(requester, ticket, "It is back again!")
        resolve(agent, ticket, "New password")
        say(requester, ticket, "And again!")
        resolve(agent, ticket, "New password")
        html = page(requester.get(f"/tickets/{ticket['id']}"))
        told = ["Signed out and in", "It is back again!", "by answering", "New password", "And again!", "New password"]
        places = [html.index(told[0])]
        for words in told[1:]:
            places.append(html.index(words, places[-1] + 1))
        assert html.count("<b>Resolution</b>") == 3

    def test_merged_requester_is_told_and_heard(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(title="Hers"), requester.ticket(title="Theirs")
        merged(agent, hers, target)
        at = f"/tickets/{hers['id']}"
        html = page(emma.get(at))
        there = f'<a href="/tickets/{target["id"]}" dir="auto">#{target["number"]} Theirs</a>'
        assert html.count(there) == 2, "at the top, and where the history says so"
        assert "/reopen" not in html and 'id="edit"' not in html and 'id="composer"' in html
        done = send(emma, f"{at}/comments", body="Any news?")
        html = page(emma.get(done.headers["location"]))
        assert f'What you sent on <a href="{at}">#{hers["number"]}</a> is here' in html and "Any news?" in html
        assert "Your ticket" in html and 'id="edit"' not in html
        mine = page(emma.get("/queue?status=any"))
        assert "merged into another ticket" in mine and "your ticket was merged into this one" in mine

    def test_both_threads_stand_on_the_other_ticket(self, agent: Client, requester: Client, emma: Client) -> None:
        target = requester.ticket(title="Theirs", description="Their words")
        hers = emma.ticket(title="Hers", description="Her words")
        say(emma, hers, "Her comment")
        say(agent, target, "Their answer")
        merged(agent, hers, target)
        html = page(agent.get(f"/tickets/{target['id']}"))
        places = [html.index(words) for words in ("Their words", "Her words", "Her comment", "Their answer")]
        assert places == sorted(places)
        assert html.count(f'href="/tickets/{hers["id"]}">from #{hers["number"]}</a>') == 2
        assert f'merged <a href="/tickets/{hers["id"]}" dir="auto">#{hers["number"]} Hers</a> into this one' in html
        theirs = page(requester.get(f"/tickets/{target['id']}"))
        assert "Her words" not in theirs and "Hers" not in theirs, "what was not theirs to read stays so"
        assert "Her words" in page(emma.get(f"/tickets/{target['id']}"))
        merged_page = page(agent.get(f"/tickets/{hers['id']}"))
        assert 'id="composer"' not in merged_page and 'name="assignee"' not in merged_page
        agent.post(f"{path(hers)}/reopen")
        assert "Her words" not in page(agent.get(f"/tickets/{target['id']}"))

    def test_form_for_merging_may_leave_the_other_resolved(self, agent: Client, requester: Client) -> None:
        for leave, after in (("", "open"), ("yes", "resolved")):
            one, target = requester.ticket(), requester.ticket()
            resolve(agent, target)
            send(agent, f"/tickets/{one['id']}/link", kind="merge", other=str(target["number"]), leave=leave)
            assert read(agent, target)["status"] == after


def test_nobody_else_gains_sight_by_a_merge(
    app: FastAPI, agent: Client, requester: Client, emma: Client, person: Callable[..., Client]
) -> None:
    eve = person("requester", "Eve")
    hers, target = emma.ticket(), requester.ticket()
    agent.patch(path(target), json={"watchers": ["eve@example.org"]})
    merged(agent, hers, target)
    assert requester.get(path(hers)).status_code == eve.get(path(target)).status_code == 404
    problem(say(eve, target), 404)
    query = TicketQuery(TicketFilter(mine=("eve@example.org",)))
    assert asyncio.run(app.state.ports.tickets.list_tickets(query)).items == []
