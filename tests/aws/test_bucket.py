"""The real server with its attachments in a bucket and all else at home: what `UPLOAD_BUCKET` alone gives. On moto's
server, which needs no Java."""

import http.client
import json
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.clouds import CREDENTIALS, REGION, moto
from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import SERVE, TICKET, call, free_port, refused, running, wait_until

COMMAND = SERVE[:-1]
BEARER = {"authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
def at() -> int:
    """Where moto will answer, once it is started."""
    return free_port()


def bucket(port: int) -> dict[str, str]:
    return {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "UPLOAD_BUCKET": "my-tickets",
    }


def asked(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, {"authorization": f"Bearer {ADMIN_TOKEN}", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()


def attached(port: int, ticket_id: str, content: bytes, kind: bytes = b"") -> tuple[int, bytes]:
    head = b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.bin"\r\ncontent-type: %s\r\n\r\n' % kind
    body = head + content + b"\r\n--b--\r\n"
    form = {"content-type": "multipart/form-data; boundary=b"}
    return asked(port, "POST", f"/api/tickets/{ticket_id}/attachments", body, **form)


def health(port: int) -> tuple[str, str, str]:
    found = json.loads(asked(port, "GET", "/health")[1])
    return found["status"], found["ports"]["uploads"]["adapter"], found["ports"]["uploads"].get("reason", "")


def test_server_takes_and_serves_attachments_and_outlives_its_bucket(tmp_path: Path, at: int) -> None:
    given, content = bucket(at), bytes(range(256)) * 30_000  # more than one part of an upload
    with moto(tmp_path, at):
        assert refused(tmp_path, [*COMMAND, "aws-setup"], **given)[0] == 0
        assert refused(tmp_path, [*COMMAND, "aws-setup", "--check"], **given)[0] == 0
    with running(tmp_path, **given) as (_, port):
        assert health(port)[:2] == ("degraded", "s3"), "a bucket that is away does not keep it from starting"
        ticket = call(port, "POST", "/api/tickets", TICKET)[1]["id"]
        status, told = attached(port, ticket, content)
        assert (status, b"can't be reached" in told) == (503, True)
        with moto(tmp_path, at):
            assert refused(tmp_path, [*COMMAND, "aws-setup"], **given)[0] == 0  # moto forgets all when it stops
            wait_until(lambda: health(port)[0] == "ok", 30)
            status, made = attached(port, ticket, content)
            assert status == 201, made
            path = f"/api/tickets/{ticket}/attachments/{json.loads(made)['items'][0]['id']}"
            assert asked(port, "GET", path) == (200, content)
            assert asked(port, "GET", path, range="bytes=256-511") == (206, bytes(range(256)))
            assert asked(port, "DELETE", path)[0] == 204
            assert asked(port, "GET", path)[0] == 404
        wait_until(lambda: health(port)[0] == "degraded", 30)
        assert "can't be reached" in health(port)[2]
        assert asked(port, "GET", f"/api/tickets/{ticket}")[0] == 200
    assert not list((tmp_path / "uploads").glob("**/*.bin"))


def test_bucket_that_does_not_exist_refuses_the_start(tmp_path: Path, at: int) -> None:
    with moto(tmp_path, at):
        code, lines = refused(tmp_path, **bucket(at))
    assert code == 74
    assert [line for line in lines if "does not exist" in line and "aws-setup" in line] == lines


@pytest.mark.parametrize("command", [["backup", "folder"], ["restore", "folder"], ["doctor"]])
def test_commands_that_look_after_directories_refuse_in_one_line(tmp_path: Path, command: list[str]) -> None:
    code, lines = refused(tmp_path, [*COMMAND, *command], **bucket(9))
    assert code == 78
    assert len(lines) == 1 and "UPLOAD_BUCKET is set" in lines[0]


def test_downloads_are_redirected_into_the_bucket_if_that_is_asked_for(tmp_path: Path, at: int) -> None:
    with moto(tmp_path, at):
        given = {**bucket(at), "UPLOAD_LINK_SECONDS": "60"}
        assert refused(tmp_path, [*COMMAND, "aws-setup"], **given)[0] == 0
        with running(tmp_path, **given) as (_, port):
            ticket = call(port, "POST", "/api/tickets", TICKET)[1]["id"]
            kept = json.loads(attached(port, ticket, b"not for everybody\n")[1])["items"][0]
            path = f"/api/tickets/{ticket}/attachments/{kept['id']}"
            with pytest.raises(HTTPError) as problem:
                urlopen(Request(f"http://127.0.0.1:{port}{path}"))
            problem.value.close()
            assert problem.value.code == 401, "the link is given only to those who may read the file"
            with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=BEARER)) as answer:
                assert answer.url.startswith(f"http://127.0.0.1:{at}/my-tickets/attachments/")
                assert answer.read() == b"not for everybody\n"
                assert answer.headers["content-type"] == "text/plain; charset=utf-8"
                assert answer.headers["content-disposition"].startswith("inline")
                assert answer.headers["content-disposition"].startswith('inline; filename="a.bin"'), (
                    "plain text, by its content"
                )
            assert asked(port, "GET", path, **{"sec-fetch-dest": "image"}) == (200, b"not for everybody\n")
            assert asked(port, "HEAD", path)[0] == 200
            kept = json.loads(attached(port, ticket, b"alert(1)", b"text/javascript")[1])["items"][0]
            path = f"/api/tickets/{ticket}/attachments/{kept['id']}"
            with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=BEARER)) as answer:
                assert answer.headers["content-type"] == "application/octet-stream"
                assert answer.headers["content-disposition"].startswith("attachment")
