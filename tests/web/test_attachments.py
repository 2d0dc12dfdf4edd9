"""Files of tickets over HTTP: streamed, ranged, typed by content, and never left behind."""

import hashlib
from urllib.parse import unquote

import pytest

from backend.main import create_app
from backend.settings import load_settings
from tests.conftest import ADMIN_TOKEN, Client, problem
from tests.stored import Stored

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture
def path(admin: Client) -> str:
    """Where a ticket's files are."""
    return f"/api/tickets/{admin.ticket()['id']}/attachments"


def attach(admin: Client, path: str, content: bytes, name: str = "a.bin", kind: str | None = None) -> dict:
    answer = admin.post(path, files={"f": (name, content, kind) if kind else (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()["items"][0]


def test_comes_back_as_it_was(admin: Client, path: str) -> None:
    content = bytes(range(256)) * 2000
    kept = attach(admin, path, content)
    answer = admin.get(kept["url"])
    assert answer.content == content
    assert kept["sha256"] == hashlib.sha256(content).hexdigest()
    assert answer.headers["etag"] == f'"{kept["sha256"]}"'
    assert answer.headers["content-length"] == str(len(content))
    assert admin.get(path).json()["items"] == [kept]


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-4", 206, slice(-4, None)),
        ("bytes=0-999", 206, slice(0, None)),
        ("bytes=-999", 206, slice(0, None)),
        ("bytes=3-1", 200, slice(0, None)),
        ("bytes=0-1,4-5", 200, slice(0, None)),
        ("lines=1-2", 200, slice(0, None)),
        ("bytes=-", 200, slice(0, None)),
    ],
)
def test_ranges(admin: Client, path: str, asked: str, status: int, expected: slice) -> None:
    content = b"0123456789"
    url = attach(admin, path, content)["url"]
    answer = admin.get(url, headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, content[expected])
    if status == 206:
        start = content.index(content[expected])
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/10"
    head = admin.head(url, headers={"range": asked})
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_range_outside_is_416(admin: Client, path: str, asked: str) -> None:
    answer = admin.get(attach(admin, path, b"0123456789")["url"], headers={"range": asked})
    problem(answer, 416)
    assert answer.headers["content-range"] == "bytes */10"


def test_conditions(admin: Client, path: str) -> None:
    kept = attach(admin, path, b"0123456789")
    tag = f'"{kept["sha256"]}"'
    assert admin.get(kept["url"], headers={"if-none-match": tag}).status_code == 304
    assert admin.get(kept["url"], headers={"range": "bytes=0-1", "if-range": tag}).status_code == 206
    assert admin.get(kept["url"], headers={"range": "bytes=0-1", "if-range": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("content", "claim", "kept", "inline"),
    [
        (PNG, "image/png", "image/png", True),
        (PNG, None, "image/png", True),
        (PNG, "application/octet-stream", "image/png", True),
        (b"hello", "text/plain", "text/plain", True),
        (b"a,b\n1,2\n", "text/csv", "text/csv", False),
        (b'{"a": 1}', "application/json", "application/json", False),
        (b"<html><script>alert(1)</script>", "text/html", "text/html", False),
        (b"<html><script>alert(1)</script>", "text/plain", "text/html", False),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", "image/svg+xml", False),
        (b"%PDF-1.7 ...", "application/pdf", "application/pdf", True),
        (b"MZ\x90\0", None, "application/x-msdownload", False),
        (b"\0\1\2\3", None, "application/octet-stream", False),
        ("é€".encode(), None, "text/plain", True),
        (
            b"PK\x03\x04..",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            False,
        ),
    ],
)
def test_type_is_told_by_content(
    admin: Client, path: str, content: bytes, claim: str | None, kept: str, inline: bool
) -> None:
    body = attach(admin, path, content, "file", claim or "application/octet-stream")
    answer = admin.get(body["url"])
    assert body["content_type"] == kept
    assert answer.headers["content-type"].split(";")[0] == kept
    assert answer.headers["content-disposition"].startswith("inline" if inline else "attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("content", "claim", "kept"),
    [
        (b"<html>", "image/png", "text/html"),
        (b"<html><table>", "application/vnd.ms-excel", "text/html"),
        (b"MZ\x90\0", "image/jpeg", "application/x-msdownload"),
        (PNG, "application/pdf", "image/png"),
        (PNG, "image/jpeg", "image/png"),
        (b"hello", "image/png", "text/plain"),
        (b"II*\0\x08\0\0\0", "image/tiff", "image/tiff"),
        ("2026-11-30 Gerät gelöscht".encode("windows-1252"), "text/x-log", "text/x-log; charset=windows-1252"),
        ("a;b\r\n".encode("utf-16"), "text/plain", "text/plain; charset=utf-16"),
        ("\u3053\u3093\u306b\u3061\u306f".encode("shift_jis"), "text/plain", "application/octet-stream"),
    ],
)
def test_claim_never_refuses_a_file(admin: Client, path: str, content: bytes, claim: str, kept: str) -> None:
    body = attach(admin, path, content, "a.any", claim)
    assert body["content_type"] == kept
    answer = admin.get(body["url"])
    assert answer.content == content and answer.headers["x-content-type-options"] == "nosniff"
    if "charset" in kept:
        assert answer.headers["content-type"] == kept


@pytest.mark.parametrize(
    ("name", "claim"),
    [("a.js", "text/javascript"), ("a.js", "application/javascript"), ("a.mjs", "text/plain"), ("a.css", "text/css")],
)
def test_no_page_can_run_a_file(admin: Client, path: str, name: str, claim: str) -> None:
    """A browser runs a script only if its type is JavaScript's, and styles only as text/css, since nosniff is said."""
    answer = admin.get(attach(admin, path, b"alert(1) /* {} */", name, claim)["url"])
    assert answer.headers["content-type"] in ("application/octet-stream", "text/plain; charset=utf-8")
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_forbidden_files_are_415_and_leave_nothing(stores: dict[str, str], stored: Stored) -> None:
    given = {**stores, "FORBIDDEN_FILE_TYPES": "exe, video/*"}
    with Client(create_app(load_settings(given)), raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)
        path = f"/api/tickets/{admin.ticket()['id']}/attachments"
        for name, content in (("setup.EXE", b"hello"), ("a.png", b"MZ\x90\0"), ("a.txt", b"\x1aE\xdf\xa3webm")):
            told = problem(admin.post(path, files=[("f", ("b.txt", b"b")), ("f", (name, content))]), 415)["detail"]
            assert name in told and ("exe" in told or "video/*" in told)
        assert stored.uploads() == []
        assert admin.post(path, files={"f": ("exe.txt", b"hello")}).status_code == 201


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\"b'c.txt", "a\"b'c.txt"),
        ("/", "file"),
        ("..", "file"),
        (".env", ".env"),
        ("a. ", "a. "),
        ("über größe.txt", "über größe.txt"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
        ),
        ("\u202egnp.exe", "\u202egnp.exe"),
    ],
)
def test_names_stay_as_they_were_and_are_never_paths(admin: Client, path: str, sent: str, kept: str) -> None:
    body = attach(admin, path, b"hello", sent)  # httpx escapes double quotes as %22, as browsers do
    assert body["name"] == kept
    assert admin.get(path).json()["items"][0]["name"] == kept
    header = admin.get(body["url"]).headers["content-disposition"]
    assert "\n" not in header and "/" not in header.replace("UTF-8''", "")
    plain, extended = header.partition("; filename=")[2].split("; filename*=UTF-8''")
    assert unquote(extended) == kept.replace("\u202e", "_")
    assert plain.startswith('"') and plain.endswith('"') and not set(plain[1:-1]) & set('"\\%')


def test_page_shows_names_without_what_turns_them(admin: Client, path: str) -> None:
    attach(admin, path, b"hello", "\u202egnp.exe")
    page = admin.get(path.replace("/api", "").removesuffix("/attachments")).text
    assert "gnp.exe" in page and "\u202e" not in page


def test_line_break_in_a_name_is_dropped(admin: Client, path: str) -> None:
    answer = admin.post(
        path, **form(b'--b\r\nContent-Disposition: form-data; name="f"; filename="a\nb.txt"\r\n\r\nx\r\n')
    )
    assert answer.json()["items"][0]["name"] == "ab.txt"


def test_long_name_keeps_its_ending(admin: Client, path: str) -> None:
    body = attach(admin, path, b"hello", "😀" * 300 + ".png.txt")
    assert body["name"].endswith(".txt") and len(body["name"]) == 255
    header = admin.get(body["url"]).headers["content-disposition"]
    assert len(unquote(header.rpartition("''")[2]).encode()) <= 255 and header.endswith(".txt")


def test_too_large_is_413_names_the_limit_and_leaves_nothing(admin: Client, path: str, stored: Stored) -> None:
    answer = admin.post(path, files={"f": ("a", b"x" * (1024 * 1024 + 1))})
    assert "1 MiB" in problem(answer, 413)["detail"]
    assert stored.uploads() == []
    attach(admin, path, b"x" * 1024 * 1024)


def test_one_bad_file_takes_the_others_with_it(admin: Client, path: str, stored: Stored) -> None:
    files = [("f", ("a.txt", b"fine")), ("f", ("b.txt", b"x" * (1024 * 1024 + 1)))]
    problem(admin.post(path, files=files), 413)
    fields = {"title": "T", "description": "D", "severity": "nonsense", "category": "C"}
    problem(admin.post("/api/tickets", data=fields, files=[("f", ("a.txt", b"fine"))]), 422)
    assert stored.uploads() == []
    assert len(admin.get("/api/tickets").json()["items"]) == 1, "no ticket was half written"


def test_file_without_a_byte_is_a_file(admin: Client, path: str) -> None:
    body = attach(admin, path, b"", "__init__.py", "text/x-python")
    assert (body["size"], body["content_type"]) == (0, "text/x-python")
    answer = admin.get(body["url"])
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    problem(admin.get(body["url"], headers={"range": "bytes=0-"}), 416)


def test_input_left_empty_is_no_file(admin: Client, path: str, stored: Stored) -> None:
    left = b'--b\r\nContent-Disposition: form-data; name="f"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n'
    problem(admin.post(path, **form(left)), 400)
    assert stored.uploads() == []
    assert len(admin.post(path, **form(left, PART)).json()["items"]) == 1


def test_form_without_a_file_is_400(admin: Client, path: str) -> None:
    problem(admin.post(path, data={"a": "b"}, files={}), 400)


def test_too_many_files_are_413(admin: Client, path: str, stored: Stored) -> None:
    problem(admin.post(path, files=[("f", (f"{n}.txt", b"x")) for n in range(21)]), 413)
    assert stored.uploads() == []


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> dict:
    return {"content": b"".join(parts) + end, "headers": {"content-type": "multipart/form-data; boundary=b"}}


PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n'


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (form(PART, end=b""), 400),
        (form(PART, end=b"--b"), 400),
        (form(PART[:-20], end=b""), 400),
        (form(b'--b\r\nContent-Disposition: attachment; filename="a"\r\n\r\nx\r\n'), 400),
        (form(b"--b\r\n\r\nx\r\n"), 400),
        (form(b"junk"), 400),
        (form(b'--b\r\nContent-Disposition: form-data; name="f"; filename="\xff\xfe"\r\n\r\nx\r\n'), 400),
        (form(*[b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\nz\r\n'] * 10_000), 413),
        (form(b"--b\r\nX: " + b"a" * 20_000 + b"\r\n\r\nx\r\n"), 400),
        ({"content": PART, "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": PART, "headers": {"content-type": "multipart/form-data; boundary=" + "b" * 71}}, 400),
        ({"json": {}}, 400),
    ],
)
def test_broken_forms_leave_nothing(admin: Client, path: str, stored: Stored, request_: dict, status: int) -> None:
    problem(admin.post(path, **request_), status)
    assert stored.uploads() == []


def test_ten_thousand_small_fields_are_413(admin: Client) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x%d"\r\n\r\ny\r\n'
    problem(admin.post("/api/tickets", **form(*[part % number for number in range(10_000)])), 413)


def test_field_that_goes_on_is_413(admin: Client) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + b"x" * 600_000 + b"\r\n"
    problem(admin.post("/api/tickets", **form(part)), 413)


def test_removing(admin: Client, agent: Client, requester: Client, stored: Stored) -> None:
    path = f"/api/tickets/{requester.ticket()['id']}/attachments"
    theirs, ours = attach(requester, path, b"theirs"), attach(agent, path, b"ours")
    problem(requester.delete(ours["url"]), 403)
    assert requester.delete(theirs["url"]).status_code == 204
    assert agent.delete(ours["url"]).status_code == 204
    problem(agent.get(ours["url"]), 404)
    problem(agent.delete(ours["url"]), 404)
    assert stored.uploads() == []
    kinds = [item["kind"] for item in agent.get(path.replace("attachments", "history")).json()["items"]]
    assert kinds == ["created", "attached", "attached", "detached", "detached"]


def test_bytes_that_are_gone_are_404(admin: Client, path: str, stored: Stored) -> None:
    url = attach(admin, path, b"hello")["url"]
    stored.lose_uploads()
    problem(admin.get(url), 404)


def test_another_tickets_file_is_404(admin: Client, path: str) -> None:
    url = attach(admin, path, b"hello")["url"]
    other = admin.ticket()["id"]
    problem(admin.get(f"/api/tickets/{other}/attachments/{url.rpartition('/')[2]}"), 404)
