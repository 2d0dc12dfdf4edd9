"""A tag, category or team that is renamed or merged takes along whatever has the old name."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.jobs import Leased, new_job
from backend.ports import Ports
from backend.usecases import rename_work
from tests.conftest import Client, problem
from tests.web.test_imports import finished
from tests.web.test_labels import found
from tests.web.test_pages import page, send


def renamed(admin: Client, old: str, new: str) -> dict[str, Any]:
    answer = admin.post("/api/tags/rename", json={"from": old, "to": new})
    assert answer.status_code == 202, answer.text
    return finished(admin, answer.headers["location"])


def the_last(admin: Client) -> dict[str, Any]:
    return finished(admin, f"/api/renames/{admin.get('/api/renames').json()['items'][-1]['id']}")


def tags(client: Client, ticket: dict[str, Any]) -> list[str]:
    return client.get(f"/api/tickets/{ticket['id']}").json()["tags"]


def test_a_tag_takes_its_tickets_along(admin: Client, agent: Client) -> None:
    one, gone, other = agent.ticket(tags=["vpn", "x"]), agent.ticket(tags=["x", "vpn"]), agent.ticket(tags=["vpn2"])
    agent.delete(f"/api/tickets/{gone['id']}")
    view = agent.post("/api/views", json={"name": "V", "query": {"tag": ["Vpn", "x"]}}).json()["id"]
    memory = agent.post("/api/memories", json={"title": "M", "body": "B", "tags": ["vpn"]}).json()["id"]
    done = renamed(admin, "VPN", "VPN access")
    assert (done["state"], done["tickets_changed"], done["merged"]) == ("done", 2, False)
    assert (done["from"], done["to"]) == ("vpn", "VPN access")
    assert [tags(agent, ticket) for ticket in (one, gone, other)] == [
        ["VPN access", "x"],
        ["x", "VPN access"],
        ["vpn2"],
    ]
    after = agent.get(f"/api/tickets/{one['id']}").json()
    assert (after["version"], after["updated_at"]) == (one["version"] + 1, one["updated_at"])
    line = agent.get(f"/api/tickets/{one['id']}/history").json()["items"][-1]
    assert (line["actor"], line["kind"]) == ("admin", "changed")
    assert line["changes"] == {"tags": {"from": ["vpn", "x"], "to": ["VPN access", "x"]}}
    assert found(agent, tag="vpn") == found(agent, tag="VPN access") == [one["number"]]
    assert agent.get(f"/api/views/{view}").json()["query"] == {"tag": ["VPN access", "x"]}
    assert agent.get(f"/api/memories/{memory}").json()["tags"] == ["VPN access"]
    offered = [one["name"] for one in agent.get("/api/tags", params={"prefix": "vpn"}).json()["items"]]
    assert sorted(offered) == ["VPN access", "vpn2"]
    assert agent.ticket(tags=["vpn"])["tags"] == ["VPN access"]
    (act,) = [one for one in admin.get("/api/audit").json()["items"] if one["action"] == "tag.renamed"]
    assert act["details"] == {"from": "vpn", "to": "VPN access"}


def test_tags_merge_and_names_come_back(admin: Client) -> None:
    both, one = admin.ticket(tags=["a", "b", "c"]), admin.ticket(tags=["b"])
    assert renamed(admin, "b", "A")["merged"]
    assert (tags(admin, both), tags(admin, one)) == (["A", "c"], ["A"])
    assert renamed(admin, "a", "Z")["tickets_changed"] == 2
    assert (tags(admin, both), admin.ticket(tags=["B"])["tags"]) == (["Z", "c"], ["Z"])
    renamed(admin, "c", "b")
    assert (tags(admin, both), found(admin, tag="b")) == (["Z", "b"], [both["number"]])
    assert len(found(admin, tag="z")) == 3
    renamed(admin, "z", "a")
    assert (tags(admin, both), tags(admin, one)) == (["a", "b"], ["a"])
    assert renamed(admin, "a", "Ａ")["tickets_changed"] == 0 or tags(admin, one) == ["Ａ"]


def test_a_tag_is_spelled_otherwise(admin: Client) -> None:
    one = admin.ticket(tags=["vpn"])
    assert renamed(admin, "VPN", "VPN")["tickets_changed"] == 1
    assert tags(admin, one) == ["VPN"] == admin.ticket(tags=["vPn"])["tags"]


@pytest.mark.parametrize(
    "draft",
    [
        {"from": "absent", "to": "x"},
        {"from": "vpn", "to": "vpn"},
        {"from": "vpn", "to": "a,b"},
        {"from": "vpn", "to": " "},
        {"from": "", "to": "x"},
        {"from": "vpn", "to": "external:1"},
        {"from": "external:1", "to": "x"},
        {"from": "vpn"},
    ],
)
def test_what_makes_no_sense_is_refused(admin: Client, draft: dict[str, str]) -> None:
    admin.ticket(tags=["vpn"])
    assert problem(admin.post("/api/tags/rename", json=draft), 422)["errors"]
    assert admin.get("/api/renames").json()["items"] == []


def test_a_repeat_is_one(admin: Client) -> None:
    admin.ticket(tags=["vpn"])
    sent = {"json": {"from": "vpn", "to": "x"}, "headers": {"idempotency-key": "k"}}
    first, again = admin.post("/api/tags/rename", **sent), admin.post("/api/tags/rename", **sent)
    assert again.status_code == 202 and first.json()["id"] == again.json()["id"]


def test_a_category_takes_its_tickets_along(admin: Client) -> None:
    record = admin.post("/api/categories", json={"name": "Access"}).json()
    one = admin.ticket(category="access")
    answer = admin.put(f"/api/categories/{record['id']}", json={"name": "Sign-in"})
    assert answer.status_code == 200
    done = the_last(admin)
    assert (done["kind"], done["from"], done["to"], done["tickets_changed"]) == ("category", "Access", "Sign-in", 1)
    assert admin.get(f"/api/tickets/{one['id']}").json()["category"] == "Sign-in"
    assert admin.ticket(category="access")["category"] == "Sign-in"
    assert len(found(admin, category="Access")) == 2
    admin.post("/api/categories", json={"name": "Access"})  # the name is free again
    new = admin.ticket(category="ACCESS")
    assert new["category"] == "Access" and found(admin, category="access") == [new["number"]]
    assert len(found(admin, category="sign-in")) == 2


def test_a_category_merges_into_another(admin: Client) -> None:
    made = [admin.post("/api/categories", json={"name": name}).json()["id"] for name in ("A", "B")]
    one = admin.ticket(category="A")
    refused = problem(admin.put(f"/api/categories/{made[0]}", json={"name": "b"}), 409)
    assert refused["detail"] == "There is already a category called B. Merge this one into it instead."
    assert "already a category called b." in problem(admin.post("/api/categories", json={"name": "b"}), 409)["detail"]
    for wrong in (made[0], "nothing"):
        problem(admin.post(f"/api/categories/{made[0]}/merge", json={"into": wrong}), 422)
    answer = admin.post(f"/api/categories/{made[0]}/merge", json={"into": made[1]})
    assert finished(admin, answer.headers["location"])["tickets_changed"] == 1
    assert admin.get(f"/api/tickets/{one['id']}").json()["category"] == "B"
    assert [record["name"] for record in admin.get("/api/categories").json()["items"]] == ["B"]
    assert admin.ticket(category="a")["category"] == "B"


def test_a_team_takes_everything_along(admin: Client, person: Callable[..., Client]) -> None:
    team = admin.post("/api/teams", json={"name": "Net"}).json()["id"]
    category = admin.post("/api/categories", json={"name": "C", "team": "Net"}).json()["id"]
    one, nia = admin.ticket(category="C"), person("agent", "Nia", teams=["Net"])
    admin.put(f"/api/teams/{team}", json={"name": "Network"})
    assert the_last(admin)["tickets_changed"] == 1
    assert admin.get(f"/api/categories/{category}").json()["team"] == "Network"
    assert nia.get(f"/api/tickets/{one['id']}").json()["team"] == "Network"
    assert found(nia) == [one["number"]] and nia.ticket(category="C")["team"] == "Network"


def test_one_that_is_cut_off_goes_on(admin: Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another worker, after half of it; nothing is written twice, and all is counted."""
    monkeypatch.setattr(rename_work, "MOST_TOGETHER", 2)
    ports: Ports = app.state.ports
    made = [admin.ticket(tags=["vpn"]) for _ in range(7)]
    steps = 0
    take_step = rename_work._Run._step

    async def cut_off(self: Any, ids: list[str]) -> int:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise asyncio.CancelledError("killed")
        return await take_step(self, ids)

    with monkeypatch.context() as patch:

        async def nothing(_: Ports, leased: Leased) -> None:
            pass

        patch.setattr("backend.usecases.jobs.KINDS", {"rename": nothing})
        rename = admin.post("/api/tags/rename", json={"from": "vpn", "to": "x"}).json()["id"]
        patch.setattr(rename_work._Run, "_step", cut_off)
        leased = Leased(new_job("rename", ports.now(), rename_id=rename), "lease", 1)
        patch.setattr(type(ports.jobs), "extend", _held)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(rename_work.run(ports, leased))
        assert [tags(admin, ticket) for ticket in made].count(["x"]) == 4
        assert len(found(admin, tag="vpn")) == len(found(admin, tag="x")) == 7
        patch.setattr(rename_work._Run, "_step", take_step)
        asyncio.run(rename_work.run(ports, leased))
        asyncio.run(rename_work.run(ports, leased))
    done = admin.get(f"/api/renames/{rename}").json()
    assert (done["state"], done["tickets_changed"]) == ("done", 7)
    for ticket in made:
        assert tags(admin, ticket) == ["x"]
        assert len(admin.get(f"/api/tickets/{ticket['id']}/history").json()["items"]) == 2


async def _held(*_: Any) -> bool:
    return True


class TestPages:
    def test_a_tag_is_renamed_there(self, admin: Client) -> None:
        one = admin.ticket(tags=["vpn"])
        text = page(admin.get("/admin/tags"))
        assert "1 ticket<" in text and 'href="/admin/tags" aria-current="page"' in text
        assert "None yet" in page(admin.get("/admin/tags", params={"begins": "x"}))
        answer = send(admin, "/admin/tags", **{"from": "vpn", "to": "VPN access", "once": "o"})
        assert answer.status_code == 303, answer.text
        the_last(admin)
        assert "1 ticket changed." in page(admin.get(answer.headers["location"]))
        assert tags(admin, one) == ["VPN access"]
        refused = send(admin, "/admin/tags", **{"from": "VPN access", "to": "a,b", "once": "p"})
        assert refused.status_code == 422 and "comma" in refused.text and 'value="a,b"' in refused.text

    def test_it_is_followed_until_it_is_done(
        self, admin: Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def nothing(_: Ports, __: Leased) -> None:
            pass

        monkeypatch.setattr("backend.usecases.jobs.KINDS", {"rename": nothing})
        admin.ticket(tags=["vpn"])
        answer = send(admin, "/admin/tags", **{"from": "vpn", "to": "VPN access", "once": "o"})
        text = page(admin.get(answer.headers["location"]))
        assert "Renaming <bdi>vpn</bdi> to <bdi>VPN access</bdi>: 0 tickets changed so far." in text
        assert 'id="renaming" data-region data-again' in text and 'http-equiv="refresh"' in text

    def test_it_is_for_administrators(self, agent: Client) -> None:
        assert agent.get("/admin/tags").status_code == 403
        assert send(agent, "/admin/tags", **{"from": "a", "to": "b", "once": "o"}).status_code == 403

    def test_categories_merge_there(self, admin: Client) -> None:
        made = [admin.post("/api/categories", json={"name": name}).json()["id"] for name in ("A", "B")]
        one = admin.ticket(category="A")
        assert f'<option value="{made[1]}">B</option>' in page(admin.get("/admin/categories"))
        answer = send(admin, f"/admin/categories/{made[0]}", act="merge", into=made[1], once="o")
        assert answer.status_code == 303, answer.text
        again = send(admin, f"/admin/categories/{made[0]}", act="merge", into=made[1], once="o")
        assert again.headers["location"] == answer.headers["location"]
        the_last(admin)
        told = page(admin.get(answer.headers["location"]))
        assert "<bdi>A</bdi> has been merged into <bdi>B</bdi>. 1 ticket changed." in told and "data-again" not in told
        assert "merged into" not in page(admin.get("/admin/categories?rename=nothing"))
        the_last(admin)
        assert admin.get(f"/api/tickets/{one['id']}").json()["category"] == "B"
        assert send(admin, f"/admin/categories/{made[1]}", act="merge", into="", once="p").status_code == 422
