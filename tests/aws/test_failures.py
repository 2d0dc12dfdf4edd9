"""The real server while its stores fail: each cause is one clear line, in 503 and in /health, and it heals by itself."""

import json
import threading
from collections.abc import Iterator

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests.aws.test_replicas import Replica, replicas
from tests.clouds import Clouds
from tests.clouds import variables as cloud_variables
from tests.conftest import ADMIN_TOKEN, variables
from tests.relay import Relay
from tests.replicas import TICKET, Answer, ask, form
from tests.streams import wait_until

ERRORS = [
    ("ProvisionedThroughputExceededException", "SlowDown", 400, "throttles requests"),
    ("InternalServerError", "InternalError", 500, "failed on AWS's side"),
    ("ExpiredTokenException", "ExpiredToken", 400, "the AWS credentials have expired"),
    ("UnrecognizedClientException", "InvalidAccessKeyId", 403, "does not accept the credentials"),
    ("AccessDeniedException", "AccessDenied", 403, "permission for"),
    ("ResourceNotFoundException", "NoSuchBucket", 404, "does not exist"),
]
QUEUE_ERRORS = [
    ("RequestThrottled", 400, "throttles requests"),
    ("InternalFailure", 500, "failed on AWS's side"),
    ("ExpiredToken", 403, "the AWS credentials have expired"),
    ("AccessDeniedException", 403, "permission for"),
    ("QueueDoesNotExist", 400, "does not exist"),
]


@pytest.fixture(scope="module")
def settings(clouds: Clouds, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = variables(tmp_path_factory.mktemp("unused"), **cloud_variables())
    CloudSetup(load_settings(found)).make()
    return found


@pytest.fixture(scope="module")
def server(clouds: Clouds, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replicas(1, tmp_path_factory.mktemp("server"), clouds, settings) as (made,):
        yield made


@pytest.fixture
def replica(server: Replica) -> Iterator[Replica]:
    """One server, whole again at the end."""
    yield server
    server.table.mend()
    server.bucket.mend()
    server.queue.mend()
    wait_until(lambda: health(server)["status"] == "ok", 60)


def asked(replica: Replica, method: str, path: str, body: object = None, **headers: str) -> Answer:
    return ask(replica.port, ADMIN_TOKEN, method, path, body, **headers)


def health(replica: Replica) -> dict:
    answer = asked(replica, "GET", "/health")
    assert answer.status == 200, "no restart would mend it"
    return answer.json


def attached(replica: Replica, ticket: str) -> Answer:
    body, kind = form("files", b"hello")
    return asked(replica, "POST", f"/api/tickets/{ticket}/attachments", body, content_type=kind)


def imported(replica: Replica) -> Answer:
    table, mapping = b"title,description,severity,category\nT,D,low,C\n", {"columns": {name: name for name in TICKET}}
    body, kind = form("file", table, mapping=json.dumps(mapping))
    return asked(replica, "POST", "/api/imports", body, content_type=kind)


def is_told(replica: Replica, port: str, words: str) -> bool:
    found = health(replica)
    return found["status"] == "degraded" and words in found["ports"][port].get("reason", "")


def refused(answer: Answer, words: str) -> None:
    """503, with one line that says it, and when to come again."""
    assert answer.status == 503, answer
    assert words in answer.json["detail"] and "\n" not in answer.json["detail"]
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(("code", "_", "status", "words"), ERRORS, ids=[error[0] for error in ERRORS])
def test_what_the_table_answers_is_told_and_heals(replica: Replica, code: str, _: str, status: int, words: str) -> None:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told by the relay"}).encode()
    replica.table.answer(status, body, "application/x-amz-json-1.0")
    refused(asked(replica, "POST", "/api/tickets", TICKET), words)
    wait_until(lambda: is_told(replica, "tickets", words))
    assert asked(replica, "GET", "/health/ready").status == 503
    assert asked(replica, "GET", "/health/live").status == 200
    replica.table.mend()
    wait_until(lambda: asked(replica, "GET", "/health/ready").status == 200)
    assert asked(replica, "POST", "/api/tickets", TICKET).status == 201


@pytest.mark.parametrize(("_", "code", "status", "words"), ERRORS, ids=[error[1] for error in ERRORS])
def test_what_the_bucket_answers_is_told_and_heals(
    replica: Replica, _: str, code: str, status: int, words: str
) -> None:
    ticket = asked(replica, "POST", "/api/tickets", TICKET).json["id"]
    body = f"<Error><Code>{code}</Code><Message>told by the relay</Message></Error>".encode()
    replica.bucket.answer(503 if code == "SlowDown" else status, body, "application/xml")
    refused(attached(replica, ticket), words)
    wait_until(lambda: is_told(replica, "uploads", words))
    assert asked(replica, "GET", f"/api/tickets/{ticket}").status == 200, "what needs no bucket goes on"
    replica.bucket.mend()
    wait_until(lambda: health(replica)["status"] == "ok")
    assert attached(replica, ticket).status == 201


@pytest.mark.parametrize(("code", "status", "words"), QUEUE_ERRORS, ids=[error[0] for error in QUEUE_ERRORS])
def test_what_the_queue_answers_is_told_and_heals(replica: Replica, code: str, status: int, words: str) -> None:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "told by the relay"}).encode()
    replica.queue.answer(status, body, "application/x-amz-json-1.0")
    refused(imported(replica), words)
    wait_until(lambda: is_told(replica, "jobs", words))
    assert asked(replica, "POST", "/api/tickets", TICKET).status == 201, "what needs no queue goes on"
    replica.queue.mend()
    wait_until(lambda: health(replica)["status"] == "ok")
    assert imported(replica).status == 202


@pytest.mark.parametrize("store", ["table", "bucket"])
def test_network_that_is_cut_is_told_and_heals(replica: Replica, store: str) -> None:
    relay: Relay = getattr(replica, store)
    ticket = asked(replica, "POST", "/api/tickets", TICKET).json["id"]
    relay.cut()
    refused(
        asked(replica, "GET", f"/api/tickets/{ticket}") if store == "table" else attached(replica, ticket),
        "can't be reached",
    )
    wait_until(lambda: is_told(replica, "tickets" if store == "table" else "uploads", "can't be reached"))
    relay.mend()
    wait_until(lambda: health(replica)["status"] == "ok")
    assert attached(replica, ticket).status == 201


def test_store_that_does_not_answer_holds_up_neither_health_nor_what_comes_after(replica: Replica) -> None:
    ticket = asked(replica, "POST", "/api/tickets", TICKET).json["id"]
    replica.table.stall()
    answers: list[Answer] = []
    path = f"/api/tickets/{ticket}"
    waiting = [
        threading.Thread(target=lambda: answers.append(ask(replica.port, ADMIN_TOKEN, "GET", path, seconds=60)))
        for _ in range(40)  # more than the server has threads for its stores
    ]
    for thread in waiting:
        thread.start()
    wait_until(lambda: is_told(replica, "tickets", "did not answer in time"))
    assert asked(replica, "GET", "/health/live").status == 200
    replica.table.mend()
    for thread in waiting:
        thread.join()
    assert {answer.status for answer in answers} <= {200, 503}
    wait_until(lambda: health(replica)["status"] == "ok")
    assert asked(replica, "GET", path).status == 200


def test_slow_store_is_slow_and_nothing_else(replica: Replica) -> None:
    replica.table.slow(0.2)
    made = asked(replica, "POST", "/api/tickets", TICKET)
    assert made.status == 201
    assert asked(replica, "GET", f"/api/tickets/{made.json['id']}").status == 200
    wait_until(lambda: health(replica)["ports"]["tickets"]["latency_ms"] > 200)  # what it found is kept for a moment
    assert health(replica)["status"] == "ok"


def test_table_that_is_gone_and_made_again_is_told_and_heals(
    replica: Replica, clouds: Clouds, settings: dict[str, str]
) -> None:
    clouds.client("dynamodb").delete_table(TableName=settings["DYNAMODB_TABLE_NAME"])
    refused(asked(replica, "POST", "/api/tickets", TICKET), "does not exist; `python -m backend aws-setup` makes it")
    wait_until(lambda: is_told(replica, "tickets", "does not exist"))
    CloudSetup(load_settings(settings)).make()
    wait_until(lambda: asked(replica, "GET", "/health/ready").status == 200)
    assert asked(replica, "POST", "/api/tickets", TICKET).status == 201
