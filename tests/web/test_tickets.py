"""Tickets over HTTP: each call, each role, each status."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Client, problem


class TestFiling:
    def test_answers_with_the_ticket_its_place_and_its_etag(self, admin: Client) -> None:
        answer = admin.post(
            "/api/tickets",
            json={
                "title": " Printer ",
                "description": "Blank",
                "severity": "high",
                "category": "Hardware",
                "tags": ["a", "b", "a"],
                "requester": "grace@example.org",
            },
        )
        body = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/api/tickets/{body['id']}"
        assert answer.headers["etag"] == '"1"'
        assert (body["title"], body["tags"], body["status"], body["number"]) == ("Printer", ["a", "b"], "open", 1)
        assert body["requester"] == "grace@example.org"
        assert admin.get(answer.headers["location"]).json() == body

    def test_numbers_count_up(self, admin: Client) -> None:
        assert [admin.ticket()["number"] for _ in range(3)] == [1, 2, 3]

    def test_takes_a_form_with_files(self, admin: Client) -> None:
        fields = {"title": "T", "description": "D", "severity": "low", "category": "C", "tags": ["x", "y"]}
        answer = admin.post("/api/tickets", data=fields, files=[("files", ("a.txt", b"one")), ("f", ("b.txt", b"two"))])
        assert answer.status_code == 201, answer.text
        assert answer.json()["tags"] == ["x", "y"]
        files = admin.get(f"{answer.headers['location']}/attachments").json()["items"]
        assert [file["name"] for file in files] == ["a.txt", "b.txt"]

    def test_requester_is_the_caller(self, requester: Client) -> None:
        assert requester.ticket()["requester"] == "grace@example.org"

    @pytest.mark.parametrize("field", ["requester", "assignee", "team"])
    def test_requester_may_not_speak_for_agents(self, requester: Client, field: str) -> None:
        body = {"title": "T", "description": "D", "severity": "low", "category": "C", field: "somebody@example.org"}
        assert field in problem(requester.post("/api/tickets", json=body), 403)["detail"]


class TestReading:
    def test_requester_sees_only_their_own(self, admin: Client, requester: Client) -> None:
        theirs, others = requester.ticket()["id"], admin.ticket()["id"]
        assert [ticket["id"] for ticket in requester.get("/api/tickets").json()["items"]] == [theirs]
        assert requester.get("/api/tickets?requester=admin").json()["items"] == []
        hidden = problem(requester.get(f"/api/tickets/{others}"), 404)
        absent = problem(requester.get(f"/api/tickets/{others[:-1]}0"), 404)
        assert hidden["title"] == absent["title"]
        for path in ("comments", "history", "attachments"):
            problem(requester.get(f"/api/tickets/{others}/{path}"), 404)

    def test_unchanged_is_304(self, admin: Client) -> None:
        path = f"/api/tickets/{admin.ticket()['id']}"
        assert admin.get(path, headers={"if-none-match": '"1"'}).status_code == 304
        assert admin.get(path, headers={"if-none-match": '"2"'}).status_code == 200

    @pytest.mark.parametrize("identity", ["x", "0" * 26, "01M82WN1MF4T9XV22B24PC6B8F", "%00", "..%2f..", "1"])
    def test_what_is_not_there_is_404(self, admin: Client, identity: str) -> None:
        problem(admin.get(f"/api/tickets/{identity}"), 404)


class TestListing:
    def test_filters(self, admin: Client) -> None:
        first = admin.ticket(severity="high", category="Access", tags=["vpn"], assignee="admin", team="net")["id"]
        second = admin.ticket(severity="low", category="Hardware", tags=["vpn", "cable"], requester="bob")["id"]

        def found(query: str) -> list[str]:
            return [ticket["id"] for ticket in admin.get(f"/api/tickets?{query}").json()["items"]]

        assert found("severity=high") == [first]
        assert found("severity=high&severity=low") == [second, first]
        assert found("category=Hardware") == [second]
        assert found("tag=vpn") == [second, first]
        assert found("tag=cable&severity=low") == [second]
        assert found("assignee=admin") == [first]
        assert found("team=net") == [first]
        assert found("requester=bob") == [second]
        assert found("status=closed") == []
        assert found("status=open&sort=created_at") == [first, second]

    @pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at", "number", "-number"])
    def test_pages_hold_each_ticket_once(self, admin: Client, sort: str) -> None:
        made = [admin.ticket(title=f"T{number}")["number"] for number in range(7)]
        seen: list[int] = []
        cursor = ""
        for _ in range(4):
            page = admin.get(f"/api/tickets?limit=2&sort={sort}{cursor}").json()
            seen += [ticket["number"] for ticket in page["items"]]
            cursor = f"&cursor={page['next_cursor']}"
        assert page["next_cursor"] is None
        assert seen == (made[::-1] if sort.startswith("-") else made)

    def test_search_pages_hold_each_match_once(self, admin: Client) -> None:
        for number in range(9):
            admin.ticket(title="printer" if number % 3 else "printer printer", description=f"word{number}")
        seen, cursor = [], ""
        while True:
            page = admin.get(f"/api/tickets?q=printer&limit=2{cursor}").json()
            seen += [ticket["number"] for ticket in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert sorted(seen) == list(range(1, 10))
        assert set(seen[:3]) == {1, 4, 7}, "those that say it twice come first"

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("printer", {1}),
            ("PRINTER", {1}),
            ("print*", {1}),
            ("print", set()),
            ('"blank pages"', {1}),
            ('"pages blank"', set()),
            ("cafe", {2}),
            ("-printer", {2}),
            ("machine -printer", {2}),
            ("pages OR machine", set()),
            ("AND", set()),
            ('title:"x', set()),
            ("!!!", set()),
            ("NEAR(a b)", set()),
        ],
    )
    def test_search(self, admin: Client, query: str, expected: set[int]) -> None:
        admin.ticket(title="The printer", description="prints blank pages")
        admin.ticket(title="Café machine", description="no coffee")
        answer = admin.get("/api/tickets", params={"q": query})
        assert answer.status_code == 200, answer.text
        assert {ticket["number"] for ticket in answer.json()["items"]} == expected

    def test_search_with_filters_and_other_orders(self, admin: Client, requester: Client) -> None:
        admin.ticket(title="vpn one", severity="high")
        admin.ticket(title="vpn two")
        requester.ticket(title="vpn three")
        found = admin.get("/api/tickets?q=vpn&severity=low").json()["items"]
        assert {ticket["title"] for ticket in found} == {"vpn two", "vpn three"}
        found = admin.get("/api/tickets?q=vpn&sort=created_at").json()["items"]
        assert [ticket["number"] for ticket in found] == [1, 2, 3]
        assert [t["title"] for t in requester.get("/api/tickets?q=vpn").json()["items"]] == ["vpn three"]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=201",
            "limit=x",
            "sort=title",
            "status=done",
            "stauts=open",
            "severity=",
            "q=" + "a" * 501,
            "limit=1&limit=2",
            "q=a&q=b",
        ],
    )
    def test_refuses_what_it_does_not_know(self, admin: Client, query: str) -> None:
        problem(admin.get(f"/api/tickets?{query}"), 422)

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "bnVsbA", "eyJhIjoxfQ", "é", "%00", "Wy4uLl0="])
    def test_cursor_that_is_none_is_400(self, admin: Client, cursor: str) -> None:
        problem(admin.get("/api/tickets", params={"cursor": cursor}), 400)

    def test_cursor_of_another_query_is_400(self, admin: Client) -> None:
        for _ in range(3):
            admin.ticket()
        cursor = admin.get("/api/tickets?limit=1").json()["next_cursor"]
        for query in ("status=open", "sort=number", "q=printer"):
            problem(admin.get(f"/api/tickets?limit=1&{query}&cursor={cursor}"), 400)


class TestChanging:
    def test_merge_patch_changes_what_it_names(self, admin: Client) -> None:
        ticket = admin.ticket(assignee="admin", tags=["x"])
        body = {"status": "in_progress", "assignee": None, "tags": None}
        answer = admin.patch(f"/api/tickets/{ticket['id']}", json=body)
        after = answer.json()
        assert answer.headers["etag"] == '"2"'
        assert (after["status"], after["assignee"], after["tags"], after["version"]) == ("in_progress", None, [], 2)
        assert after["title"] == ticket["title"]
        assert after["updated_at"] > ticket["updated_at"]

    def test_nothing_named_changes_nothing(self, admin: Client) -> None:
        path = f"/api/tickets/{admin.ticket()['id']}"
        assert admin.patch(path, json={}).json()["version"] == 1
        assert admin.patch(path, json={"title": "Printer"}).json()["version"] == 1

    def test_stale_if_match_is_412_and_changes_nothing(self, admin: Client) -> None:
        path = f"/api/tickets/{admin.ticket()['id']}"
        assert admin.patch(path, json={"title": "A"}, headers={"if-match": '"1"'}).status_code == 200
        for tag in ('"1"', 'W/"2"', '"x"', '"1", "7"'):
            problem(admin.patch(path, json={"title": "B"}, headers={"if-match": tag}), 412)
        problem(admin.patch(path, json={"title": "B"}, headers={"if-match": "2"}), 400)
        assert admin.get(path).json()["title"] == "A"
        assert admin.patch(path, json={"title": "C"}, headers={"if-match": '"1", "2"'}).status_code == 200
        assert admin.patch(path, json={"title": "D"}, headers={"if-match": "*"}).status_code == 200

    @pytest.mark.parametrize(
        "body", [{"title": None}, {"status": None}, {"id": "x"}, {"version": 9}, {"severity": "awful"}, {"tags": "x"}]
    )
    def test_refuses_what_may_not_change(self, admin: Client, body: dict) -> None:
        problem(admin.patch(f"/api/tickets/{admin.ticket()['id']}", json=body), 422)

    def test_takes_merge_patch_and_json_only(self, admin: Client) -> None:
        path = f"/api/tickets/{admin.ticket()['id']}"
        kind = {"content-type": "application/merge-patch+json"}
        assert admin.patch(path, content=b'{"title": "A"}', headers=kind).status_code == 200
        problem(admin.patch(path, content=b'{"title": "A"}', headers={"content-type": "text/plain"}), 415)

    def test_requester_may_change_text_only(self, requester: Client) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        assert requester.patch(path, json={"description": "More"}).status_code == 200
        problem(requester.patch(path, json={"status": "closed"}), 403)


class TestLife:
    def test_resolving_leaves_a_memory(self, agent: Client) -> None:
        ticket = agent.ticket(title="VPN drops", description="Each hour", tags=["vpn"])
        answer = agent.post(f"/api/tickets/{ticket['id']}/resolve", json={"resolution": "New certificate"})
        assert answer.json()["status"] == "resolved"
        assert answer.json()["resolved_at"] is not None
        memory = agent.get(f"/api/memories/{ticket['id']}").json()
        assert "New certificate" in memory["body"]
        assert memory["ticket_number"] == ticket["number"]
        assert agent.get("/api/memories?q=certificate").json()["items"] == [memory]
        assert agent.get("/api/memories").json()["items"] == [memory]

    def test_what_is_remembered_is_how_it_was_resolved_whoever_was_faster(self, agent: Client) -> None:
        def resolve(number: int) -> Any:
            body = {"resolution": f"By number {number}."}
            if number % 2:
                return agent.post(f"/api/tickets/{identity}/resolve", json=body)
            many = {"tickets": [{"id": identity}], "action": "resolve", "resolution": body}
            return agent.post("/api/tickets/bulk", json=many)

        for _ in range(4):
            identity = agent.ticket()["id"]
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(resolve, range(6)))
            assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
            resolution = agent.get(f"/api/tickets/{identity}").json()["resolution"]
            assert agent.get(f"/api/memories/{identity}").json()["body"].endswith(f"{resolution}\n")

    def test_need_not_be_remembered(self, agent: Client) -> None:
        identity = agent.ticket()["id"]
        agent.post(f"/api/tickets/{identity}/resolve", json={"resolution": "Done", "remember": False})
        problem(agent.get(f"/api/memories/{identity}"), 404)

    def test_status_follows_its_rules(self, agent: Client) -> None:
        path = f"/api/tickets/{agent.ticket()['id']}"
        problem(agent.post(f"{path}/reopen"), 409)
        assert agent.post(f"{path}/resolve", json={"resolution": "Done"}).status_code == 200
        problem(agent.post(f"{path}/resolve", json={"resolution": "Again"}), 409)
        problem(agent.patch(path, json={"status": "waiting"}), 409)
        again = agent.post(f"{path}/reopen").json()
        assert (again["status"], again["resolved_at"]) == ("open", None)

    def test_requester_may_reopen_but_not_resolve(self, agent: Client, requester: Client) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        problem(requester.post(f"{path}/resolve", json={"resolution": "Done"}), 403)
        agent.post(f"{path}/resolve", json={"resolution": "Done"})
        assert requester.post(f"{path}/reopen").status_code == 200

    def test_trash_and_restore(self, agent: Client, requester: Client) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        problem(requester.delete(path), 403)
        assert agent.delete(path).status_code == 204
        problem(requester.get(path), 404)
        assert agent.get("/api/tickets").json()["items"] == []
        assert agent.get("/api/tickets?q=printer").json()["items"] == []
        assert agent.get("/api/tickets?deleted=true").json()["items"][0]["deleted_at"]
        problem(requester.get("/api/tickets?deleted=true"), 403)
        problem(agent.patch(path, json={"title": "X"}), 409)
        problem(agent.post(f"{path}/comments", json={"body": "X"}), 409)
        assert agent.post(f"{path}/restore").status_code == 200
        problem(agent.post(f"{path}/restore"), 409)
        assert len(agent.get("/api/tickets?q=printer").json()["items"]) == 1

    def test_history_tells_who_changed_what(self, agent: Client, admin: Client) -> None:
        path = f"/api/tickets/{agent.ticket()['id']}"
        admin.patch(path, json={"severity": "critical"})
        agent.post(f"{path}/comments", json={"body": "Hello"})
        agent.post(f"{path}/resolve", json={"resolution": "Done"})
        items = agent.get(f"{path}/history").json()["items"]
        assert [(item["kind"], item["actor"]) for item in items] == [
            ("created", "Ada"),
            ("changed", "admin"),
            ("commented", "Ada"),
            ("resolved", "Ada"),
        ]
        assert items[1]["changes"] == {"severity": {"from": "low", "to": "critical"}}
        page = agent.get(f"{path}/history?limit=3").json()
        rest = agent.get(f"{path}/history?limit=3&cursor={page['next_cursor']}").json()
        assert page["items"] + rest["items"] == items
        assert rest["next_cursor"] is None

    def test_internal_notes_stay_internal(self, agent: Client, requester: Client) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        problem(requester.post(f"{path}/comments", json={"body": "Psst", "internal": True}), 403)
        assert agent.post(f"{path}/comments", json={"body": "Psst", "internal": True}).status_code == 201
        assert requester.post(f"{path}/comments", json={"body": "Hello?"}).status_code == 201
        assert [c["body"] for c in agent.get(f"{path}/comments").json()["items"]] == ["Psst", "Hello?"]
        assert [c["body"] for c in requester.get(f"{path}/comments").json()["items"]] == ["Hello?"]
        assert "Psst" not in requester.get(f"{path}/history").text
        assert len(requester.get(f"{path}/history").json()["items"]) == 2
