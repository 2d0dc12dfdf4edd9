"""Memories over HTTP: written, rewritten, rated and forgotten, by agents and by hand."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Client, problem
from tests.stored import Stored

DRAFT = {"title": "Blank pages", "body": "Take off the film.\n", "category": "Hardware", "tags": ["printer"]}
KEY = {"idempotency-key": "6f1c3b52"}


def written(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/memories", json=DRAFT | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_written_memory_is_a_file_that_is_found(agent: Client, stored: Stored) -> None:
    answer = agent.post("/api/memories", json=DRAFT)
    memory = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/memories/{memory['id']}"
    assert (memory["author"], memory["helpful"], memory["unhelpful"], memory["team"]) == ("Ada", 0, 0, None)
    again = agent.get(answer.headers["location"])
    assert (again.json(), again.headers["etag"]) == (memory, answer.headers["etag"])
    assert "Take off the film." in stored.memory(memory["id"])
    assert agent.get("/api/memories?q=film").json()["items"] == [memory]
    assert agent.get("/api/memories?q=tag:printer").json()["items"] == [memory]
    assert agent.get("/api/memories?q=-category:Hardware").json()["items"] == []
    assert agent.get(answer.headers["location"], headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_rewriting_takes_the_etag_and_keeps_what_it_was_worth(agent: Client) -> None:
    memory = written(agent)
    path = f"/api/memories/{memory['id']}"
    agent.post(f"{path}/feedback", json={"helpful": True})
    stale = agent.get(path).headers["etag"]
    done = agent.put(path, json={"title": "New", "body": "Other"}, headers={"if-match": stale})
    assert done.status_code == 200
    expected = {"title": "New", "body": "Other", "category": None, "tags": [], "helpful": 1}
    assert done.json() == memory | expected | {"updated_at": done.json()["updated_at"]}
    problem(agent.put(path, json=DRAFT, headers={"if-match": stale}), 412)
    problem(agent.delete(path, headers={"if-match": stale}), 412)
    problem(agent.put(path, json=DRAFT, headers={"if-match": "broken"}), 400)
    problem(agent.put(path, json={"title": "X"}), 422)
    assert agent.delete(path, headers={"if-match": done.headers["etag"]}).status_code == 204
    problem(agent.get(path), 404)
    problem(agent.put(path, json=DRAFT), 404)
    problem(agent.delete(path), 404)
    problem(agent.post(f"{path}/feedback", json={"helpful": True}), 404)


def test_edit_by_hand_changes_the_etag(agent: Client, stored: Stored) -> None:
    memory = written(agent)
    path = f"/api/memories/{memory['id']}"
    before = agent.get(path).headers["etag"]
    by_hand = stored.memory(memory["id"]).replace("film", "foil").replace("---\n\n", "source: wiki, page 7\n---\n\n")
    stored.write_memory(memory["id"], by_hand.encode())
    problem(agent.put(path, json=DRAFT, headers={"if-match": before}), 412)
    assert agent.get(path).json()["body"] == "Take off the foil.\n"
    assert agent.post(f"{path}/feedback", json={"helpful": False}).json()["unhelpful"] == 1
    assert "source: wiki, page 7\n" in stored.memory(memory["id"]), "what people wrote beside is kept"


def test_feedback_is_counted_in_the_file_once_for_a_key(agent: Client, stored: Stored) -> None:
    memory = written(agent)
    path = f"/api/memories/{memory['id']}/feedback"
    for helpful in (True, True, False):
        assert agent.post(path, json={"helpful": helpful}).status_code == 200
    for _ in range(3):
        answer = agent.post(path, json={"helpful": True}, headers=KEY)
    assert (answer.json()["helpful"], answer.json()["unhelpful"]) == (3, 1)
    front = stored.memory(memory["id"])
    assert "\nhelpful: 3\n" in front and "\nunhelpful: 1\n" in front
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: agent.post(path, json={"helpful": True}).is_success, range(20)))
    assert agent.get(f"/api/memories/{memory['id']}").json()["helpful"] == 23, (
        "none comes between another's read and write"
    )


def test_crash_between_file_and_receipt_counts_once(agent: Client, stored: Stored) -> None:
    """What a crash leaves: the file is written, the receipt is not. Receipts are taken away to bring that about."""
    made = [agent.post("/api/memories", json=DRAFT, headers=KEY).json()]
    path = f"/api/memories/{made[0]['id']}/feedback"
    rate = {"json": {"helpful": True}, "headers": {"idempotency-key": "vote"}}
    agent.post(path, **rate)
    stored.lose_receipts()
    assert agent.post(path, **rate).json()["helpful"] == 1
    made.append(agent.post("/api/memories", json=DRAFT, headers=KEY).json())
    assert made[0]["id"] == made[1]["id"]
    assert len(stored.memories()) == 1


def test_many_at_once_with_a_key_write_one(agent: Client, stored: Stored) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: agent.post("/api/memories", json=DRAFT, headers=KEY), range(12)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(stored.memories()) == 1


def test_teams_keep_their_memories(agent: Client, person: Callable[..., Client]) -> None:
    network = person("agent", "Nora", teams=["Network"])
    ours, theirs, all_ = (written(agent, team=team)["id"] for team in ("Network", "Desk", None))
    assert {memory["id"] for memory in network.get("/api/memories").json()["items"]} == {ours, all_}
    assert {memory["id"] for memory in network.get("/api/memories?q=film").json()["items"]} == {ours, all_}
    assert network.get(f"/api/memories/{ours}").status_code == 200
    for answer in (
        network.get(f"/api/memories/{theirs}"),
        network.put(f"/api/memories/{theirs}", json=DRAFT),
        network.delete(f"/api/memories/{theirs}"),
        network.post(f"/api/memories/{theirs}/feedback", json={"helpful": True}),
    ):
        problem(answer, 404)
    problem(network.post("/api/memories", json=DRAFT | {"team": "Desk"}), 403)
    problem(network.put(f"/api/memories/{ours}", json=DRAFT | {"team": "Desk"}), 403)
    assert network.put(f"/api/memories/{ours}", json=DRAFT | {"team": "Network"}).status_code == 200


def test_resolved_ticket_of_a_team_leaves_that_teams_memory(agent: Client) -> None:
    ticket = agent.ticket(team="Network")
    agent.post(f"/api/tickets/{ticket['id']}/resolve", json={"resolution": "Done"})
    assert agent.get(f"/api/memories/{ticket['id']}").json()["team"] == "Network"


@pytest.mark.parametrize(
    "fields",
    [
        {"body": "x" * 100_001},
        {"body": " \n"},
        {"body": "a\0b"},
        {"body": "\ud800"},
        {"title": ""},
        {"title": "x" * 201},
        {"tags": ["x"] * 3 + [f"{n}" for n in range(21)]},
        {"team": "a\0b"},
        {"helpful": 3},
        {"id": "../x"},
    ],
    ids=range(10),
)
def test_refuses_what_makes_no_sense(agent: Client, fields: dict[str, Any], stored: Stored) -> None:
    content = json.dumps(DRAFT | fields)
    headers = {"content-type": "application/json"}
    problem(agent.post("/api/memories", content=content, headers=headers), 422)
    assert stored.memories() == []


@pytest.mark.parametrize(
    "body",
    [
        "---\ntitle: evil\nteam: X\n---\nrest",
        "---",
        "---\n---\n",
        "\n\n---\n",
        "a\r\n---\r\nteam: X\r\n---",
        "\ufeff---\nx: 1\n---\n",
    ],
)
def test_body_is_never_read_as_front_matter(agent: Client, body: str) -> None:
    memory = written(agent, body=body, title='x"\\: ---')
    kept = agent.get(f"/api/memories/{memory['id']}").json()
    assert kept == memory
    cleaned = body.lstrip("\n\ufeff").replace("\r", "")
    assert (kept["body"], kept["title"], kept["team"]) == (cleaned, 'x"\\: ---', None)


def test_longest_body_is_taken(agent: Client) -> None:
    body = "é" * 100_000
    assert agent.get(f"/api/memories/{written(agent, body=body)['id']}").json()["body"] == body


@pytest.mark.parametrize("identity", ["..", "%2e%2e", "..%2f..%2fdata", ".lock", "a%00b", "x" * 200, "%ff", "a b"])
def test_ids_are_never_paths(agent: Client, identity: str) -> None:
    for method, body in (("get", None), ("put", DRAFT), ("delete", None)):
        assert agent.request(method, f"/api/memories/{identity}", json=body).status_code in (404, 405, 307), identity
    assert agent.post(f"/api/memories/{identity}/feedback", json={"helpful": True}).status_code in (404, 405)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"---",
        b"---\nhelpful: -5\ncounted: 7\n---\n",
        b"---\nhelpful: 1e999\nunhelpful: 99999999999999999999\n---\n",
        b'---\ntitle: "\\ud800"\nteam: ["x"]\n---\nbody',
        b"\xff\xfe\x00broken",
        b"---\ntitle: [[[[\ncreated_at: NaN\n---\n",
        b"---\nticket_number: 9223372036854775808\n---\n",
    ],
    ids=range(8),
)
def test_files_broken_by_hand_are_read_rated_and_rewritten(agent: Client, content: bytes, stored: Stored) -> None:
    stored.write_memory("by-hand", content)
    assert agent.get("/api/memories/by-hand").status_code == 200
    assert agent.post("/api/memories/by-hand/feedback", json={"helpful": True}).json()["helpful"] == 1
    assert agent.put("/api/memories/by-hand", json=DRAFT).json()["body"] == DRAFT["body"]
    assert agent.get("/api/memories?q=film").json()["items"][0]["id"] == "by-hand"
