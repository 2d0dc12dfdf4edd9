"""What AWS says when something fails, in one line each, and how the backend goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from backend.adapters.aws.clients import Access, Cloud, Misconfigured, told
from backend.adapters.aws.files import S3Files
from backend.adapters.aws.layout import definition
from backend.errors import BadConfiguration, StorageRefused, TooLarge, Unavailable
from backend.main import create_app
from backend.ports import Ports
from backend.settings import forget_empty_aws_variables, load_settings
from backend.web import health
from backend.wiring import CloudSetup, wire
from tests import clouds as clouds_
from tests.clouds import Clouds
from tests.conftest import ADMIN_TOKEN, Client, problem, variables


def answered(code: str, status: int, operation: str = "GetItem") -> ClientError:
    error = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, operation)  # type: ignore[arg-type]


CAUSES = [
    (answered("ProvisionedThroughputExceededException", 400), Unavailable, "throttles"),
    (answered("ThrottlingException", 400), Unavailable, "throttles"),
    (answered("SlowDown", 503, "PutObject"), Unavailable, "throttles"),
    (answered("InternalServerError", 500), Unavailable, "failed on AWS's side"),
    (answered("ExpiredTokenException", 400), Misconfigured, "have expired"),
    (answered("ExpiredToken", 400, "PutObject"), Misconfigured, "have expired"),
    (answered("UnrecognizedClientException", 400), Misconfigured, "does not accept the credentials"),
    (answered("InvalidAccessKeyId", 403, "PutObject"), Misconfigured, "does not accept the credentials"),
    (answered("AccessDeniedException", 400), Misconfigured, "permission for GetItem is denied"),
    (answered("403", 403, "HeadBucket"), Misconfigured, "permission for HeadBucket is denied"),
    (answered("ResourceNotFoundException", 400), Misconfigured, "does not exist"),
    (answered("NoSuchBucket", 404, "PutObject"), Misconfigured, "does not exist"),
    (answered("AWS.SimpleQueueService.NonExistentQueue", 400, "SendMessage"), Misconfigured, "does not exist"),
    (answered("QueueDoesNotExist", 400, "ReceiveMessage"), Misconfigured, "does not exist"),
    (answered("RequestThrottled", 403, "SendMessage"), Unavailable, "throttles"),
    (answered("KmsThrottled", 400, "SendMessage"), Unavailable, "throttles"),
    (answered("AccessDenied", 403, "SendMessage"), Misconfigured, "permission for SendMessage is denied"),
    (answered("InvalidClientTokenId", 403, "ReceiveMessage"), Misconfigured, "does not accept the credentials"),
    (answered("ExpiredToken", 403, "DeleteMessage"), Misconfigured, "have expired"),
    (answered("InternalFailure", 500, "SendMessage"), Unavailable, "failed on AWS's side"),
    (answered("OverLimit", 403, "ReceiveMessage"), Unavailable, "refused ReceiveMessage: OverLimit"),
    (NoCredentialsError(), Misconfigured, "no AWS credentials"),
    (NoRegionError(), Misconfigured, "AWS_DEFAULT_REGION"),
    (ReadTimeoutError(endpoint_url="http://x"), Unavailable, "did not answer"),
    (ConnectTimeoutError(endpoint_url="http://x"), Unavailable, "no connection"),
    (EndpointConnectionError(endpoint_url="http://x"), Unavailable, "can't be reached"),
    (ResponseParserError("Unable to parse response:\n<html>"), Unavailable, "sent something that can't be read"),
]


@pytest.mark.parametrize(("cause", "kind", "words"), CAUSES, ids=lambda value: str(value)[:40])
def test_each_cause_is_told_apart_in_one_line(cause: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(Unavailable) as caught, told("The store"):
        raise cause
    assert type(caught.value) is kind
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("The store")


STORES = ("DYNAMODB_TABLE_NAME", "UPLOAD_BUCKET", "SQS_QUEUE_URL")


def only(store: str, environ: dict[str, str]) -> dict[str, str]:
    """The environment with one of the stores alone."""
    return {key: value for key, value in environ.items() if key == store or key not in STORES}


def test_what_is_missing_refuses_the_start_in_one_line(clouds: Clouds, tmp_path: Path) -> None:
    for name in STORES:
        chosen = only(name, clouds_.variables())
        ports = wire(load_settings(variables(tmp_path, **chosen)))
        with pytest.raises(StorageRefused, match=f"{name}.*does not exist.*aws-setup"):
            ports.open()
        ports.close()


@pytest.mark.parametrize("chosen", STORES)
def test_each_store_works_alone(aws_variables: dict[str, str], chosen: str) -> None:
    app = create_app(load_settings(only(chosen, aws_variables)))
    with Client(app, raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)
        ticket = admin.ticket()
        assert admin.attach(ticket["id"], b"hello").status_code == 201
        assert admin.post(f"/api/tickets/{ticket['id']}/resolve", json={"resolution": "Done"}).status_code == 200
        assert admin.get("/api/memories?q=done").json()["items"][0]["id"] == ticket["id"]
        adapters = {name: port["adapter"] for name, port in admin.get("/health").json()["ports"].items()}
        assert ("dynamodb" in adapters.values()) == (chosen == "DYNAMODB_TABLE_NAME")
        assert ("s3" in adapters.values()) == (chosen == "UPLOAD_BUCKET")
        assert ("sqs" in adapters.values()) == (chosen == "SQS_QUEUE_URL")


def test_health_is_degraded_while_a_store_is_gone_and_mends_by_itself(
    aws_variables: dict[str, str], clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
    settings = load_settings(aws_variables)
    with Client(create_app(settings), raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)
        assert admin.get("/health").json()["status"] == "ok"
        clouds.client("dynamodb").delete_table(TableName=settings.dynamodb_table_name)
        answer = admin.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "does not exist" in answer.json()["ports"]["tickets"]["reason"]
        assert admin.get("/health/ready").status_code == 503
        refused = admin.get("/api/tickets")
        assert "does not exist" in problem(refused, 503)["detail"]
        assert refused.headers["retry-after"] == "5"
        CloudSetup(settings).make()
        assert admin.get("/health").json()["status"] == "ok"
        assert admin.ticket()["number"] == 1


def test_a_store_that_is_away_does_not_keep_a_replica_from_starting(
    aws_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
    with Client(create_app(load_settings(aws_variables)), raise_server_exceptions=False) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "can't be reached" in answer.json()["ports"]["tickets"]["reason"]


def test_half_of_the_credentials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        wire(load_settings(variables(tmp_path, DYNAMODB_TABLE_NAME="tickets", AWS_ACCESS_KEY_ID="a")))


def test_credentials_come_from_the_settings_files_included(clouds: Clouds, tmp_path: Path) -> None:
    for name, value in clouds_.CREDENTIALS.items():
        (tmp_path / name.lower()).write_text(value)
    settings = load_settings({**variables(tmp_path), "UPLOAD_BUCKET": "some-bucket"}, tmp_path)
    cloud = Cloud(
        Access(settings.aws_access_key_id, settings.aws_secret_access_key, settings.aws_session_token, clouds_.REGION)
    )
    credentials = cloud.client("s3")._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key) == tuple(clouds_.CREDENTIALS.values())
    assert clouds_.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in repr(Access("a", "test-secret"))


def test_empty_variables_never_reach_boto3() -> None:
    environ = {"AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_DEFAULT_REGION": "x", "OTHER": ""}
    forget_empty_aws_variables(environ)
    assert environ == {"AWS_DEFAULT_REGION": "x", "OTHER": ""}


class TestUploads:
    def test_whatever_fails_leaves_neither_object_nor_parts(self, ports: Ports, clouds: Clouds) -> None:
        async def parts(size: int, then: Exception | None = None) -> AsyncIterator[bytes]:
            for _ in range(size):
                yield b"x" * 1024 * 1024
            if then:
                raise then

        assert isinstance(ports.uploads, S3Files)
        client, name = clouds.client("s3"), ports.uploads.bucket.name
        for size, then, limit in ((12, None, 11), (12, ConnectionResetError(), 99), (2, None, 1)):
            with pytest.raises((TooLarge, ConnectionResetError)):
                asyncio.run(ports.uploads.put(parts(size, then), limit * 1024 * 1024))
            assert "Contents" not in client.list_objects_v2(Bucket=name)
            assert not client.list_multipart_uploads(Bucket=name).get("Uploads")
        stored = asyncio.run(ports.uploads.put(parts(12), 99 * 1024 * 1024))
        assert stored.size == 12 * 1024 * 1024
        (found,) = client.list_objects_v2(Bucket=name)["Contents"]
        assert found["Size"] == stored.size
        asyncio.run(ports.uploads.delete(stored.key))

    def test_bucket_that_vanishes_is_one_line(self, ports: Ports, clouds: Clouds) -> None:
        assert isinstance(ports.uploads, S3Files)
        clouds.client("s3").delete_bucket(Bucket=ports.uploads.bucket.name)

        async def hello() -> AsyncIterator[bytes]:
            yield b"hello"

        with pytest.raises(Unavailable, match=r"bucket .* does not exist"):
            asyncio.run(ports.uploads.put(hello(), 10))
        with pytest.raises(Unavailable, match=r"bucket .* does not exist"):
            asyncio.run(ports.uploads.probe())


class TestSetup:
    def test_makes_what_is_missing_once_and_says_what_is_wrong(self, clouds: Clouds, tmp_path: Path) -> None:
        wanted = clouds_.variables()
        settings = load_settings(variables(tmp_path, **wanted))
        setup, bucket = CloudSetup(settings), wanted["UPLOAD_BUCKET"]
        assert all(any(word in line for line in setup.check()) for word in ("table", "bucket", "queue"))
        assert len(setup.make()) == 7
        assert (setup.make(), setup.check()) == ([], [])
        clouds.client("s3").delete_public_access_block(Bucket=bucket)
        assert setup.check() == [f"The S3 bucket {bucket} does not block public access."]
        assert len(setup.make()) == 1 and setup.check() == []

    def test_adds_indexes_that_an_older_table_lacks(
        self, clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", clouds.s3)  # DynamoDB Local takes a minute for an index
        wanted = clouds_.variables()
        setup = CloudSetup(load_settings(variables(tmp_path, **wanted)))
        older = definition(wanted["DYNAMODB_TABLE_NAME"])
        for part, name in (("AttributeDefinitions", "AttributeName"), ("GlobalSecondaryIndexes", "IndexName")):
            older[part] = [one for one in older[part] if one[name] not in ("updated", "by_updated")]
        replace(clouds, dynamodb=clouds.s3).client("dynamodb").create_table(**older)
        assert any("lacks the indexes updated" in line for line in setup.check())
        setup.make()
        assert setup.check() == []

    def test_index_that_carries_too_little_is_told_with_what_to_do(
        self, clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", clouds.s3)
        wanted = clouds_.variables()
        setup = CloudSetup(load_settings(variables(tmp_path, **wanted)))
        lean = definition(wanted["DYNAMODB_TABLE_NAME"])
        lean["GlobalSecondaryIndexes"][0]["Projection"] = {"ProjectionType": "KEYS_ONLY"}
        replace(clouds, dynamodb=clouds.s3).client("dynamodb").create_table(**lean)
        assert any("lack attributes: delete created; aws-setup makes them anew" in line for line in setup.check())
        with pytest.raises(StorageRefused, match="delete created"):
            setup.make()

    def test_policy_names_what_serving_calls_and_nothing_else(self, clouds: Clouds, tmp_path: Path) -> None:
        wanted = clouds_.variables()
        policy = json.loads(CloudSetup(load_settings(variables(tmp_path, **wanted))).policy())
        actions = {action for statement in policy["Statement"] for action in statement["Action"]}
        assert not any("*" in action or "Create" in action or "DeleteTable" in action for action in actions)
        assert {
            "dynamodb:Query",
            "dynamodb:ConditionCheckItem",
            "s3:AbortMultipartUpload",
            "sqs:DeleteMessage",
        } <= actions
        assert "dynamodb:Scan" not in actions
        assert all(resource != "*" for statement in policy["Statement"] for resource in statement["Resource"])

    def test_needs_something_to_set_up(self, tmp_path: Path) -> None:
        with pytest.raises(
            BadConfiguration, match="DYNAMODB_TABLE_NAME, UPLOAD_BUCKET, SQS_QUEUE_URL or BEDROCK_MODEL_ID"
        ):
            CloudSetup(load_settings(variables(tmp_path)))
