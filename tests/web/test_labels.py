"""Tags, categories and teams that fold alike are one, spelled as first used, wherever they are given or asked for."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client, problem
from tests.web.test_imports import finished
from tests.web.test_pages import page, send

WAYS = ["VPN", "vpn", "  Vpn\t", "ＶＰＮ", "v\u200bp\u2060n"]
CAFES = ["Café  au lait", "CAFE\u0301 au LAIT", "café\u00a0au lait"]


def found(client: Client, **query: Any) -> list[int]:
    answer = client.get("/api/tickets", params={"sort": "number", **query})
    assert answer.status_code == 200, answer.text
    return [one["number"] for one in answer.json()["items"]]


@pytest.fixture
def filed(agent: Client) -> list[dict[str, Any]]:
    """A ticket for each way to write the same, and one of something else."""
    made = [agent.ticket(tags=[way, "x"], category=way, team=way) for way in [*WAYS, *CAFES]]
    return [*made, agent.ticket(tags=["vpn2"], category="Access", team="Other")]


def test_the_first_spelling_is_what_later_tickets_get(filed: list[dict[str, Any]]) -> None:
    spelled = [(one["tags"][0], one["category"], one["team"]) for one in filed]
    assert spelled == [("VPN",) * 3] * 5 + [("Café au lait",) * 3] * 3 + [("vpn2", "Access", "Other")]


@pytest.mark.parametrize("way", WAYS)
def test_every_filter_finds_all(agent: Client, filed: list[dict[str, Any]], way: str) -> None:
    numbers = [one["number"] for one in filed]
    for field in ("tag", "category", "team"):
        assert found(agent, **{field: way}) == numbers[:5]
        assert found(agent, q=f'{field}:"{way}"') == numbers[:5]
        assert found(agent, q=f'-{field}:"{way}"') == numbers[5:]
        assert found(agent, **{field: [way, CAFES[1]]}) == numbers[:8]
    assert found(agent, q=f'Printer tag:"{way}"') == numbers[:5]
    assert len(agent.get("/api/search", params={"q": f'tag:"{way}" Printer'}).json()["items"]) == 5
    made = agent.post("/api/views", json={"name": "V", "query": {"tag": [way], "category": [way]}}).json()
    assert [one["number"] for one in agent.get(made["url"] + "&sort=number").json()["items"]] == numbers[:5]
    assert page(agent.get("/queue", params={"tag": way, "status": "any"})).count("Printer</a>") == 5


def test_a_change_to_another_spelling_is_none(agent: Client, filed: list[dict[str, Any]]) -> None:
    path = f"/api/tickets/{filed[0]['id']}"
    after = agent.patch(path, json={"tags": ["vpn", "X", "x"], "category": "ｖｐｎ", "team": "Vpn"}).json()
    assert after == agent.get(path).json() == filed[0]
    bulk = {"tickets": [{"id": filed[8]["id"]}], "action": "change", "change": {"tags": ["vPn"], "category": "vpn"}}
    changed = agent.post("/api/tickets/bulk", json=bulk).json()["items"][0]["ticket"]
    assert (changed["tags"], changed["category"]) == (["VPN"], "VPN")
    send(agent, f"{path[4:]}/change", tags="vpn, new, New", was_tags="VPN, x")
    assert agent.get(path).json()["tags"] == ["VPN", "new"]
    assert agent.post("/api/memories", json={"title": "M", "body": "B", "tags": ["nEW"]}).json()["tags"] == ["new"]
    assert len(agent.get("/api/memories", params={"q": "tag:NEW B"}).json()["items"]) == 1


def test_an_import_joins_what_is_there(admin: Client) -> None:
    admin.ticket(tags=["VPN"], category="Access")
    table = 'title;tags;category;id\nA;"vpn,Fax";ACCESS;1,2\nB;FAX,ＶＰＮ;access;3\n'.encode()
    columns = {"title": "title", "tags": "tags", "category": "category", "id": "external_id"}
    form = {"data": {"mapping": json.dumps({"columns": columns})}, "files": {"file": ("t.csv", table)}}
    assert finished(admin, admin.post("/api/imports", **form).headers["location"])["tickets_made"] == 2
    items = admin.get("/api/tickets", params={"tag": "fax", "category": "access", "sort": "number"}).json()["items"]
    assert [(one["tags"], one["category"]) for one in items] == [
        (["VPN", "Fax", "external:1 2"], "Access"),
        (["Fax", "VPN", "external:3"], "Access"),
    ]


def test_figures_count_one_category(agent: Client, filed: list[dict[str, Any]]) -> None:
    shares = agent.get("/api/stats").json()["categories"]
    assert {one["name"]: one["opened"] for one in shares} == {"VPN": 5, "Café au lait": 3, "Access": 1}


def test_what_is_set_up_says_how_it_is_spelled(admin: Client) -> None:
    old = admin.ticket(category="access", team="net")
    admin.post("/api/teams", json={"name": "Net"})
    made = admin.post("/api/categories", json={"name": "Access", "team": "NET"})
    assert made.json()["team"] == "Net"
    new = admin.ticket(category="ACCESS")
    assert (new["category"], new["team"]) == ("Access", "Net")
    for way in ("access", "Access"):
        assert found(admin, category=way) == found(admin, q=f"category:{way}") == [old["number"], new["number"]]
    assert found(admin, team="NET") == [old["number"], new["number"]]


def test_an_agent_of_a_team_sees_it_however_it_is_spelled(admin: Client, person: Callable[..., Client]) -> None:
    theirs = admin.ticket(team="Network", tags=["Router"])
    admin.ticket(team="Desk", tags=["Route 66"])
    agent = person("agent", "Lin", teams=["NETWORK"])
    assert agent.get("/api/session").json()["teams"] == ["Network"]
    assert found(agent) == found(agent, team="network") == [theirs["number"]]
    assert agent.get(f"/api/tickets/{theirs['id']}").status_code == 200
    assert agent.get("/api/tags", params={"prefix": "rout"}).json()["items"] == [{"name": "Router", "tickets": 1}]
    assert agent.ticket(team="network")["team"] == "Network"


@pytest.mark.parametrize("tags", [["a,b"], ["ok", ","], ["a ,b "]])
def test_a_comma_in_a_tag_is_refused_with_what_to_do(admin: Client, tags: list[str]) -> None:
    ticket = admin.ticket()
    draft = {"title": "T", "description": "D", "severity": "low", "category": "C", "tags": tags}
    for answer in (
        admin.post("/api/tickets", json=draft),
        admin.post("/api/tickets", data=draft, files={"f": ("a.txt", b"x")}),
        admin.patch(f"/api/tickets/{ticket['id']}", json={"tags": tags}),
    ):
        (error,) = problem(answer, 422)["errors"]
        assert (
            error["field"].startswith("tags.") and error["message"] == "must not hold a comma; send each tag by itself"
        )


class TestCompletion:
    def test_begins_with_the_most_used(self, agent: Client) -> None:
        for tags in (["Printer", "paper"], ["printer", "Plotter"], ["PRINTER"], ["other"], ["print, not"[:5]]):
            agent.ticket(tags=tags)
        found = agent.get("/api/tags", params={"prefix": "ＰR"}).json()["items"]
        assert found == [{"name": "Printer", "tickets": 3}, {"name": "print", "tickets": 1}]
        assert len(agent.get("/api/tags").json()["items"]) == 5
        assert len(agent.get("/api/tags", params={"limit": 2}).json()["items"]) == 2
        for wrong in ({"limit": 51}, {"limit": 0}, {"prefix": "x" * 51}, {"prefix": "a\0"}, {"q": "x"}):
            problem(agent.get("/api/tags", params=wrong), 422)

    def test_tells_nobody_more_than_they_may_see(self, agent: Client, requester: Client) -> None:
        agent.ticket(tags=["secret"])
        gone = agent.ticket(tags=["gone"])
        agent.delete(f"/api/tickets/{gone['id']}")
        requester.ticket(tags=["own"])
        assert requester.get("/api/tags").json()["items"] == [{"name": "own", "tickets": 1}]
        assert [one["name"] for one in agent.get("/api/tags").json()["items"]] == ["own", "secret"]
        assert "secret" not in requester.get("/tickets/new").text and "own" in requester.get("/tickets/new").text

    def test_is_on_every_page_with_such_a_field(self, agent: Client) -> None:
        ticket = agent.ticket(tags=["<b>"], category="A & B")
        for path in ("/queue", "/tickets/new", f"/tickets/{ticket['id']}"):
            text = page(agent.get(path))
            assert '<datalist id="tags-in-use"><option>&lt;b&gt;</option>' in text
            assert '<datalist id="categories"><option>A &amp; B</option>' in text
