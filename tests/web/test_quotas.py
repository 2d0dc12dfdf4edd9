"""What one person may bring in a day, by API and page."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from backend.main import create_app
from backend.settings import load_settings
from tests.conftest import Client, problem

TICKET = {"title": "T", "description": "D", "severity": "low", "category": "C"}


@pytest.fixture
def app(stores: dict[str, str]) -> Iterator[FastAPI]:
    limits = {"UPLOAD_MB_PER_DAY": "1", "UPLOAD_FILES_PER_DAY": "4", "RECEIPTS_PER_DAY": "5"}
    return create_app(load_settings({**stores, **limits}))


def sent(client: Client, size: int, count: int = 1) -> dict[str, list[tuple[str, tuple[str, bytes]]]]:
    return {"files": [("files", (f"{number}.bin", b"x" * size)) for number in range(count)]}


def test_files_of_a_requester_are_counted_and_agents_are_not(
    admin: Client, requester: Client, agent: Client, person: Callable[..., Client]
) -> None:
    path = f"/api/tickets/{requester.ticket()['id']}"
    assert requester.post(f"{path}/attachments", **sent(requester, 10, 2)).status_code == 201
    refused = requester.post(f"{path}/attachments", **sent(requester, 10, 3))
    said = problem(refused, 429)["detail"]
    assert "at most 4 files a day, and you have sent 4; go on at 20" in said and "00:00 UTC" in said
    assert 0 < int(refused.headers["retry-after"]) <= 24 * 3600 + 1
    assert len(requester.get(f"{path}/attachments").json()["items"]) == 2, "all or nothing"
    answer = requester.post(f"{path}/comments", data={"body": "B"}, **sent(requester, 10, 2))
    assert answer.status_code == 201, "what was refused was given back"
    problem(requester.post("/api/tickets", data=TICKET, **sent(requester, 1)), 429)
    assert requester.post("/api/tickets", json=TICKET).status_code == 201, "without a file"
    assert person("requester", "Hedy").post("/api/tickets", data=TICKET, **sent(requester, 1)).status_code == 201
    for _ in range(2):
        assert agent.post(f"{path}/attachments", **sent(agent, 600_000, 3)).status_code == 201


def test_bytes_of_files_and_texts_count_together(requester: Client) -> None:
    assert requester.post("/api/tickets", data=TICKET, **sent(requester, 1_000_000)).status_code == 201
    said = problem(requester.post("/api/tickets", data=TICKET, **sent(requester, 60_000)), 429)["detail"]
    assert "at most 1 MiB of files and texts a day, and you have sent 1.0 MiB" in said
    statuses = [requester.post("/api/tickets", json=TICKET | {"description": "é" * 20_000}).status_code for _ in "12"]
    assert statuses == [201, 429]
    answer = requester.get("/api/tickets").json()["items"]
    assert len(answer) == 2
    assert requester.delete(f"/api/tickets/{answer[0]['id']}").status_code != 429


def test_what_fails_is_given_back(requester: Client) -> None:
    for _ in range(6):
        answer = requester.post("/api/tickets", data=TICKET | {"severity": "none"}, **sent(requester, 10))
        assert answer.status_code == 422
    assert requester.post("/api/tickets", data=TICKET, **sent(requester, 10, 4)).status_code == 201


@pytest.mark.parametrize("role", ["requester", "agent"])
def test_receipts_are_counted_for_everybody_and_repeats_are_not(person: Callable[..., Client], role: str) -> None:
    client = person(role, "Hedy")

    def post(key: str) -> int:
        return client.post("/api/tickets", json=TICKET, headers={"idempotency-key": key}).status_code

    assert [post(str(number)) for number in range(6)] == [201] * 5 + [429]
    assert post("1") == 201, "a repeat is answered"
    assert client.post("/api/tickets", json=TICKET).status_code == 201, "without a key"
    refused = client.post("/api/tickets", json=TICKET, headers={"idempotency-key": "x"})
    assert "at most 5 requests with an Idempotency-Key a day" in problem(refused, 429)["detail"]


def test_a_page_says_so_and_keeps_what_was_typed(requester: Client) -> None:
    form = TICKET | {"title": "The title that was typed", "once": "k1"}
    assert requester.post("/tickets", data=form, **sent(requester, 1, 4), follow_redirects=False).status_code == 303
    answer = requester.post("/tickets", data=form | {"once": "k2"}, **sent(requester, 1), follow_redirects=False)
    assert answer.status_code == 429, answer.text
    assert "at most 4 files a day" in answer.text and "The title that was typed" in answer.text
