"""Writes that took effect although nobody heard of it: they are found out, or at least nothing is undone that may be there."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ConnectionClosedError

from backend.adapters.aws.tickets import DynamoTickets
from backend.errors import Unavailable, Uncertain
from backend.main import create_app
from backend.ports import Ports
from backend.settings import load_settings
from tests.builders import a_promise, a_ticket, an_edit, an_event
from tests.clouds import Clouds
from tests.conftest import ADMIN_TOKEN, Client

ANSWER, REQUEST = "after-call", "before-call"


@contextmanager
def losing(ports: Ports, *what: str) -> Iterator[None]:
    """The connection breaks at each of these moments, such as `after-call.dynamodb.PutItem`."""
    assert isinstance(ports.tickets, DynamoTickets)
    moments = ports.tickets.table.client.meta.events

    def break_off(**_: object) -> None:
        raise ConnectionClosedError(endpoint_url="http://x")

    for moment in what:
        moments.register(moment, break_off)
    try:
        yield
    finally:
        for moment in what:
            moments.unregister(moment, break_off)


def dynamodb(when: str, call: str) -> str:
    return f"{when}.dynamodb.{call}"


def test_answer_that_is_lost_is_found_out(ports: Ports) -> None:
    async def check() -> None:
        ticket = a_ticket()
        with losing(ports, dynamodb(ANSWER, "TransactWriteItems")):
            added = await ports.tickets.add(ticket, (), an_event(ticket), a_promise("k"))
            await ports.tickets.update(ticket.id, an_edit("once"))
        stored = await ports.tickets.get(ticket.id)
        assert (stored.number, stored.version) == (added.number, 2)
        assert len(await ports.tickets.list_events(0, 9)) == 2

    asyncio.run(check())


def test_request_that_is_lost_never_takes_effect_later(ports: Ports) -> None:
    async def check() -> None:
        ticket = a_ticket()
        with losing(ports, dynamodb(REQUEST, "TransactWriteItems")), pytest.raises(Unavailable) as caught:
            await ports.tickets.add(ticket, (), an_event(ticket))
        assert not isinstance(caught.value, Uncertain)
        assert await ports.tickets.list_events(0, 9) == []
        later = a_ticket()
        await ports.tickets.add(later, (), an_event(later))
        assert len(await ports.tickets.list_events(0, 9)) == 1, "its block is closed, nobody waits for it"

    asyncio.run(check())


def files_in(clouds: Clouds, bucket: str) -> int:
    return int(clouds.client("s3").list_objects_v2(Bucket=bucket, Prefix="attachments/")["KeyCount"])


@pytest.mark.parametrize("way", ["attach", "file"])
def test_bytes_of_what_may_have_taken_effect_stay(aws_variables: dict[str, str], clouds: Clouds, way: str) -> None:
    app = create_app(load_settings(aws_variables))
    with Client(app, raise_server_exceptions=False) as client:
        admin, ports = client.speaking(ADMIN_TOKEN), app.state.ports
        path = f"/api/tickets/{admin.ticket()['id']}/attachments" if way == "attach" else "/api/tickets"
        fields = {} if way == "attach" else {"title": "T", "description": "D", "severity": "low", "category": "C"}

        def send(key: str):
            file = {"files": ("a.txt", b"hello")}
            return admin.post(path, data=fields, files=file, headers={"idempotency-key": key})

        with losing(ports, dynamodb(REQUEST, "TransactWriteItems")):
            assert send("never").status_code == 503
        assert files_in(clouds, aws_variables["UPLOAD_BUCKET"]) == 0, "what can't take effect any more is undone"
        with losing(ports, dynamodb(ANSWER, "TransactWriteItems"), dynamodb(REQUEST, "PutItem")):
            assert send("maybe").status_code == 503
        again = send("maybe")
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        listed = admin.get(path if way == "attach" else f"/api/tickets/{again.json()['id']}/attachments").json()
        assert [admin.get(item["url"]).content for item in listed["items"]] == [b"hello"]


def test_table_of_an_import_that_may_have_begun_stays(aws_variables: dict[str, str]) -> None:
    app = create_app(load_settings(aws_variables))
    with Client(app, raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)

        def send():
            mapping = '{"columns": {"title": "title"}, "defaults": {"severity": "low", "category": "C"}}'
            file = {"file": ("t.csv", b"title\nA\n")}
            return admin.post("/api/imports", data={"mapping": mapping}, files=file, headers={"idempotency-key": "k"})

        with losing(app.state.ports, dynamodb(ANSWER, "TransactWriteItems")):
            assert send().status_code == 503
        again = send()
        assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
        assert admin.get(f"{again.headers['location']}").json()["problem"] is None
