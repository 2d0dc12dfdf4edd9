"""Only somebody who works on tickets gets one: in every way that an assignee is set."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client, problem
from tests.web.test_imports import finished

Person = Callable[..., Client]
MIA = "mia.keller@example.org"


@pytest.fixture
def mia(person: Person) -> Client:
    return person("agent", "Mia Keller", email="Mia.Keller@Example.org")


def path(ticket: dict[str, Any], end: str = "") -> str:
    return f"/api/tickets/{ticket['id']}{end}"


def refused(answer: Any, near: str = MIA) -> str:
    (error,) = problem(answer, 422)["errors"]
    assert error["field"] == "assignee" and near in error["message"], error
    return str(error["message"])


def assignee(client: Client, ticket: dict[str, Any]) -> str | None:
    return client.get(path(ticket)).json()["assignee"]


DRAFT = {"title": "T", "description": "D", "severity": "low", "category": "C"}


@pytest.mark.parametrize(
    "meant", ["Mia Keller", "mia  keller", "Mia <MIA.KELLER@example.org>", "mailto:Mia.Keller@example.org"]
)
def test_ways_to_say_who(agent: Client, mia: Client, meant: str) -> None:
    assert agent.ticket(assignee=meant)["assignee"] == MIA
    ticket = agent.ticket()
    assert agent.patch(path(ticket), json={"assignee": meant}).json()["assignee"] == MIA
    body = {"tickets": [{"id": agent.ticket()["id"]}], "action": "change", "change": {"assignee": meant}}
    assert agent.post("/api/tickets/bulk", json=body).json()["items"][0]["ticket"]["assignee"] == MIA


def test_me_is_who_asks(agent: Client, mia: Client, admin: Client) -> None:
    for who, address in ((agent, "ada@example.org"), (mia, MIA), (admin, "admin")):
        assert who.ticket(assignee="me")["assignee"] == address


@pytest.mark.parametrize("unknown", ["Mia", "mia.keler@example.org", "Mia Kellr"])
def test_nobody_else_is_taken(agent: Client, admin: Client, mia: Client, unknown: str) -> None:
    ticket = agent.ticket(assignee="me")
    refused(agent.post("/api/tickets", json=DRAFT | {"assignee": unknown}))
    refused(agent.patch(path(ticket), json={"assignee": unknown}))
    refused(admin.post("/api/categories", json={"name": "Hardware", "assignee": unknown}))
    body = {"tickets": [{"id": ticket["id"]}], "action": "change", "change": {"assignee": unknown}}
    for mode in ("all", "each"):
        refused(agent.post("/api/tickets/bulk", json=body | {"mode": mode}))
    assert assignee(agent, ticket) == "ada@example.org"
    assert agent.get(path(ticket)).json()["version"] == ticket["version"]
    assert agent.get("/api/tickets", params={"assignee": unknown}).json()["items"] == [], "whoever looks may look"


@pytest.mark.parametrize("meant", ["Mia Keller", "mia keller", MIA, "Mia <Mia.Keller@example.org>"])
def test_filters_find_a_person_by_name_too(agent: Client, mia: Client, person: Person, meant: str) -> None:
    night = person("agent", "Night desk", email=None)
    ticket, other = agent.ticket(assignee=MIA, title="Jam"), night.ticket(assignee="me", title="Jam")
    for asked in ({"assignee": meant}, {"q": f'assignee:"{meant}"'}, {"q": 'jam -assignee:"night desk"'}):
        assert [one["id"] for one in agent.get("/api/tickets", params=asked).json()["items"]] == [ticket["id"]]
    found = agent.get("/api/search", params={"q": f'jam assignee:"{meant}"'}).json()["items"]
    assert [one["id"] for one in found] == [ticket["id"]]
    assert [one["id"] for one in agent.get("/api/tickets?assignee=night+desk").json()["items"]] == [other["id"]]


def test_a_requester_is_no_assignee(agent: Client, requester: Client) -> None:
    refused(
        agent.patch(path(agent.ticket()), json={"assignee": "grace@example.org"}), "no agent has the name or address"
    )


def test_two_of_one_name_are_not_guessed_between(agent: Client, person: Person) -> None:
    for number in (1, 2):
        person("agent", "Twin", email=f"twin{number}@example.org")
    said = refused(agent.patch(path(agent.ticket()), json={"assignee": "twin"}), "several")
    assert "twin1@example.org" in said and "twin2@example.org" in said


def test_an_agent_without_an_address_is_meant_by_name_and_kept_by_id(agent: Client, person: Person) -> None:
    kiosk = person("agent", "Night desk", email=None)
    ticket = agent.ticket(assignee="night desk")
    assert ticket["assignee"] == kiosk.get("/api/session").json()["address"]
    assert [one["id"] for one in kiosk.get("/api/tickets?assignee=me").json()["items"]] == [ticket["id"]]
    page = agent.get(f"/tickets/{ticket['id']}").text
    assert 'value="Night desk"' in page and '<bdi class="name">' not in page
    assert "<bdi>Night desk</bdi>" in agent.get("/queue").text


def test_who_has_gone_keeps_what_they_have_and_gets_no_more(agent: Client, admin: Client, mia: Client) -> None:
    admin.post("/api/categories", json={"name": "Hardware", "assignee": MIA})
    ticket = agent.ticket()
    assert ticket["assignee"] == MIA
    gone = next(one for one in admin.get("/api/tokens").json()["items"] if one["name"] == "Mia Keller")
    admin.delete(f"/api/tokens/{gone['id']}")
    assert agent.patch(path(ticket), json={"title": "X", "assignee": MIA}).json()["title"] == "X", "unchanged"
    refused(agent.patch(path(agent.ticket()), json={"assignee": MIA}), "no agent has the name or address")
    assert agent.ticket()["assignee"] is None, "it is nobody's, and so somebody's to take"
    category = admin.get("/api/categories").json()["items"][0]
    body = {"name": "Hardware", "assignee": MIA, "description": "Cables"}
    assert admin.put(f"/api/categories/{category['id']}", json=body).status_code == 200
    found = agent.get(path(agent.ticket(title=ticket["title"]), "/triage")).json()["suggestions"]
    assert "assignee" not in [one["field"] for one in found]


def test_suggested_people_are_there(agent: Client, mia: Client, admin: Client) -> None:
    for _ in range(3):
        agent.post(path(agent.ticket(title="Printer jams again", assignee=MIA), "/resolve"), json={"resolution": "Oil"})
    ticket = agent.ticket(title="Printer jams again")
    suggested = {one["field"]: one["value"] for one in agent.get(path(ticket, "/triage")).json()["suggestions"]}
    assert suggested["assignee"] == MIA
    assert (
        agent.post(path(ticket, "/triage/apply"), json={"assignee": "Mia.Keller@Example.org"}).json()["assignee"] == MIA
    )


TABLE = "Title,Who\nOne,Mia.Keller@Example.org\nTwo,mia keller\nThree,jdoe\nFour,jdoe\nFive,\n"


def sent(admin: Client, query: str = "", **values: Any) -> Any:
    mapping = {"columns": {"Title": "title", "Who": "assignee"}, "values": values}
    return admin.post(
        f"/api/imports{query}", data={"mapping": json.dumps(mapping)}, files={"file": ("t.csv", TABLE.encode())}
    )


def test_an_import_says_whom_it_does_not_know_and_loses_no_row(admin: Client, mia: Client) -> None:
    found = sent(admin, "?dry_run=true").json()
    assert found["unknown_assignees"] == [{"name": "jdoe", "rows": 2}] and found["rows_looked_at"] == 5
    shown = {row["ticket"]["title"]: row["ticket"] for row in found["rows"]}
    finished(admin, sent(admin).headers["location"])
    made = {one["title"]: one for one in admin.get("/api/tickets").json()["items"]}
    for title, who in (("One", MIA), ("Two", MIA), ("Three", None), ("Four", None), ("Five", None)):
        assert made[title]["assignee"] == shown[title]["assignee"] == who
        assert made[title]["description"] == shown[title]["description"]
    assert made["Three"]["description"].endswith("Assignee before the import: jdoe")
    assert "Assignee" not in made["One"]["description"] + made["Five"]["description"]
    assert sent(admin, "?dry_run=true", assignee={"jdoe": MIA}).json()["unknown_assignees"] == []


class TestPage:
    """Without JavaScript."""

    @pytest.fixture
    def ada(self, agent: Client) -> Client:
        return agent

    def form(self, client: Client, at: str, **fields: Any) -> Any:
        return client.post(at, data=fields, follow_redirects=False)

    def test_field_offers_people_and_keeps_what_was_typed(self, ada: Client, mia: Client) -> None:
        ticket = ada.ticket()
        page = ada.get(f"/tickets/{ticket['id']}").text
        assert f'<option value="{MIA}">Mia Keller</option>' in page
        answer = self.form(ada, f"/tickets/{ticket['id']}/change", assignee="Mia", was_assignee="")
        assert answer.status_code == 422
        assert (
            'value="Mia"' in answer.text
            and f"Mia Keller ({MIA})" in answer.text
            and 'aria-invalid="true"' in answer.text
        )
        assert self.form(ada, f"/tickets/{ticket['id']}/change", assignee="Mia Keller").status_code == 303
        assert assignee(ada, ticket) == MIA
        for word in ("", "nobody", "none"):
            ada.patch(path(ticket), json={"assignee": MIA})
            assert self.form(ada, f"/tickets/{ticket['id']}/change", assignee=word).status_code == 303
            assert assignee(ada, ticket) is None

    def test_new_ticket(self, ada: Client, mia: Client) -> None:
        answer = self.form(ada, "/tickets", **DRAFT, assignee="Mia")
        assert answer.status_code == 422 and 'value="Mia"' in answer.text and f"Mia Keller ({MIA})" in answer.text

    def test_bulk(self, ada: Client, mia: Client) -> None:
        ticket = ada.ticket()
        fields = {"pick": ticket["id"], "act": "change", "here": ""}
        answer = self.form(ada, "/queue", **fields, assignee="Mia")
        assert answer.status_code == 422 and 'value="Mia"' in answer.text and f"Mia Keller ({MIA})" in answer.text
        assert f'value="{ticket["id"]}" form="bulk" checked' in answer.text, "what was chosen stays so"
        assert self.form(ada, "/queue", **fields, assignee="mia keller").status_code == 200
        assert assignee(ada, ticket) == MIA
        assert self.form(ada, "/queue", **fields, assignee="nobody").status_code == 200
        assert assignee(ada, ticket) is None

    def test_category(self, admin: Client, mia: Client) -> None:
        answer = self.form(admin, "/admin/categories", name="Hardware", active="yes", assignee="Mia")
        assert answer.status_code == 422 and 'value="Mia"' in answer.text and f"Mia Keller ({MIA})" in answer.text
