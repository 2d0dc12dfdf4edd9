"""Everything out of one installation and into another: nothing is lost, nothing is doubled, nothing bad comes in."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.domain import archives
from backend.main import create_app
from backend.settings import load_settings
from tests.conftest import ADMIN_TOKEN, Client, problem

TAR = {"content-type": "application/x-tar"}


@pytest.fixture
def other(fresh: Callable[[Path], dict[str, str]], tmp_path: Path) -> Iterator[Client]:
    """A fresh installation."""
    app = create_app(load_settings({**fresh(tmp_path / "other"), "MAX_UPLOAD_SIZE_MB": "1"}))
    with Client(app, raise_server_exceptions=False) as client:
        yield client.speaking(ADMIN_TOKEN)


def lived_in(admin: Client) -> list[str]:
    """An installation with one of everything; the tickets' ids."""
    plain, busy, gone = (admin.ticket(title=f"Ticket {n} ü", tags=["a", "ü"])["id"] for n in range(3))
    for n in range(3):
        admin.post(f"/api/tickets/{busy}/comments", json={"body": f"comment {n} \U0001f600", "internal": n == 1})
    admin.attach(busy, b"hello", "a.txt")
    admin.attach(busy, b"x" * 300_000, "ä b.bin")
    removed = admin.attach(plain, b"bye").json()["items"][0]["id"]
    admin.delete(f"/api/tickets/{plain}/attachments/{removed}")
    admin.post(f"/api/tickets/{busy}/resolve", json={"resolution": "Done\r\nso"})
    admin.post("/api/tokens", json={"name": "Ada", "role": "agent", "teams": ["Net"]})
    admin.patch(f"/api/tickets/{plain}", json={"assignee": "Ada", "team": "Net"})
    admin.delete(f"/api/tickets/{gone}")
    return [plain, busy, gone]


def walk(admin: Client, ids: list[str]) -> dict[str, object]:
    """What every GET answers."""
    paths = ["/api/tickets?sort=number", "/api/tickets?deleted=true", "/api/tickets?q=ticket", "/api/memories"]
    paths += ["/api/tokens", "/api/tickets?tag=ü", "/api/stats"]
    for one in ids:
        paths += [f"/api/tickets/{one}{rest}" for rest in ("", "/comments", "/history", "/attachments")]
    found: dict[str, object] = {path: admin.get(path).json() for path in paths}
    for one in ids:
        for file in admin.get(f"/api/tickets/{one}/attachments").json()["items"]:
            answer = admin.get(file["url"])
            found[file["url"]] = (answer.content, answer.headers["etag"], answer.headers["content-type"])
    found["/api/memories/"] = [admin.get(f"/api/memories/{ids[1]}").json()]
    stats = found["/api/stats"]
    assert isinstance(stats, dict)
    del stats["to"]
    return found


def exported(admin: Client, query: str = "") -> bytes:
    answer = admin.get(f"/api/export{query}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="ticket-backend-')
    return answer.content


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for info in tar:
            content = tar.extractfile(info)
            assert content
            found[info.name] = content.read()
        return found


def packed(parts: dict[str, bytes], end: bytes = archives.END) -> bytes:
    return b"".join(archives.header(n, len(c)) + c + archives.padding(len(c)) for n, c in parts.items()) + end


def load(admin: Client, archive: bytes, **headers: str):
    return admin.post("/api/import", content=archive, headers=TAR | headers)


def test_nothing_is_lost_on_the_way(admin: Client, other: Client) -> None:
    ids = lived_in(admin)
    archive = exported(admin)
    answer = load(other, archive)
    assert answer.status_code == 200, answer.text
    assert answer.json()["read"]["tickets"] == 3 and answer.json()["files_added"] == 2
    assert walk(other, ids) == walk(admin, ids)
    assert other.ticket()["number"] == 4


def test_exported_again_it_is_the_same_byte_for_byte(admin: Client, other: Client) -> None:
    lived_in(admin)
    archive = exported(admin)
    load(other, archive)
    first, second = members(archive), members(exported(other))

    def lines(found: dict[str, bytes]) -> dict[str, bytes]:
        return {n: c for n, c in found.items() if n.startswith(("tickets", "tokens", "catalogue", "memories", "files"))}

    assert lines(first) == lines(second) and len(lines(first)) == 5


def test_tokens_go_with_it_as_hashes(admin: Client, other: Client) -> None:
    secret = admin.post("/api/tokens", json={"name": "Grace", "role": "agent"}).json()["token"]
    archive = exported(admin)
    assert secret.encode() not in archive
    load(other, archive)
    assert other.speaking(secret).get("/api/tickets").status_code == 200


def test_what_webhooks_sign_with_goes_only_when_asked_for(admin: Client, other: Client) -> None:
    made = admin.post("/api/webhooks", json={"url": "https://hooks.example.org/1"}).json()
    secret = made["secret"].encode()
    archive, whole = exported(admin), exported(admin, "?secrets=true")
    assert secret not in archive and secret in whole
    load(other, archive)
    assert load(other, archive).json()["added"] == 0, "the webhook keeps the secret that it got here"
    (record,) = other.get("/api/webhooks").json()["items"]
    assert record["id"] == made["id"]
    there = exported(other, "?secrets=true")
    assert secret not in there and b'"secret":"whsec_' in there
    assert load(admin, archive).json()["added"] == 0, "its own export, come back, changes nothing"
    assert secret in exported(admin, "?secrets=true")


def test_again_it_skips_what_is_there(admin: Client, other: Client) -> None:
    lived_in(admin)
    archive = exported(admin)
    added = load(other, archive).json()["added"]
    again = load(other, archive).json()
    assert (again["added"], again["files_added"], again["same"]) == (0, 0, added)


def test_goes_on_where_it_was_cut_short(admin: Client, other: Client) -> None:
    ids = lived_in(admin)
    archive = exported(admin)
    assert "cut off" in problem(load(other, archive[: len(archive) * 2 // 3]), 400)["detail"]
    assert load(other, archive).status_code == 200
    assert walk(other, ids) == walk(admin, ids)


def test_later_export_brings_an_earlier_import_up_to_date(admin: Client, other: Client) -> None:
    ids = lived_in(admin)
    load(other, exported(admin))
    admin.post(f"/api/tickets/{ids[0]}/comments", json={"body": "more"})
    admin.attach(ids[0], b"late")
    admin.ticket(title="new")
    taken = load(other, exported(admin)).json()
    assert taken["forwarded"] == 1 and taken["files_added"] == 1
    assert walk(other, ids) == walk(admin, ids)


def test_what_went_on_here_is_told_and_kept(admin: Client, other: Client) -> None:
    ids = lived_in(admin)
    archive = exported(admin)
    load(other, archive)
    other.patch(f"/api/tickets/{ids[0]}", json={"title": "Changed here"})
    found = problem(load(other, archive), 409)
    assert ids[0] in found["errors"][0]["field"]
    assert other.get(f"/api/tickets/{ids[0]}").json()["title"] == "Changed here"


def test_refuses_an_installation_of_somebody_else(admin: Client, other: Client) -> None:
    lived_in(admin)
    other.ticket(title="Mine")
    problem(load(other, exported(admin)), 409)
    assert [one["title"] for one in other.get("/api/tickets").json()["items"]] == ["Mine"]


def test_further_tickets_here_are_told(admin: Client, other: Client) -> None:
    lived_in(admin)
    archive = exported(admin)
    load(other, archive)
    other.ticket()
    assert "further tickets" in problem(load(other, archive), 409)["detail"]


def test_without_files_only_their_bytes_are_missing(admin: Client, other: Client) -> None:
    ids = lived_in(admin)
    archive = exported(admin, "?files=false")
    assert not any(name.startswith("files/") for name in members(archive))
    assert load(other, archive).status_code == 200
    url = other.get(f"/api/tickets/{ids[1]}/attachments").json()["items"][0]["url"]
    problem(other.get(url), 404)
    assert load(other, exported(admin)).json()["files_added"] == 2, "they can follow later"


def test_file_without_a_byte_comes_along(admin: Client, other: Client) -> None:
    ticket = admin.ticket()["id"]
    (file,) = admin.attach(ticket, b"", "__init__.py").json()["items"]
    assert load(other, exported(admin)).status_code == 200
    assert load(other, exported(admin)).json()["files_added"] == 0
    assert other.get(file["url"]).content == b"" and other.get(f"/api/tickets/{ticket}/attachments").json()[
        "items"
    ] == [file]


def test_empty_installation_moves_too(admin: Client, other: Client) -> None:
    assert load(other, exported(admin)).status_code == 200


def test_is_for_administrators_and_written_down(admin: Client, agent: Client) -> None:
    problem(agent.get("/api/export"), 403)
    problem(load(agent, b""), 403)
    audit = next(c for n, c in members(exported(admin)).items() if n.startswith("audit"))
    assert b'"exported"' in audit
    problem(admin.get("/api/export?files=maybe"), 422)


def changed(archive: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    parts = members(archive)
    change(parts)
    return packed(parts)


def renamed(parts: dict[str, bytes], prefix: str, name: Callable[[str], str]) -> None:
    kept = dict(parts)
    parts.clear()
    parts.update({name(n) if n.startswith(prefix) else n: c for n, c in kept.items()})


def edited(parts: dict[str, bytes], prefix: str, edit: Callable[[bytes], bytes], *, honest: bool = True) -> None:
    """Change a member, and its name's digest too if the forger is careful."""
    import hashlib

    kept = dict(parts)
    parts.clear()
    for name, content in kept.items():
        if name.startswith(prefix):
            content = edit(content)
            if honest and name.endswith(".ndjson"):
                name = f"{name.split('.')[0]}.{hashlib.sha256(content).hexdigest()}.ndjson"
        parts[name] = content


BAD: dict[str, Callable[[dict[str, bytes]], None]] = {
    "no head": lambda p: p.pop("export.json") and None,
    "no manifest": lambda p: p.pop("manifest.json") and None,
    "no tokens": lambda p: p.pop(next(n for n in p if n.startswith("tokens"))) and None,
    "a file less": lambda p: p.pop(next(n for n in p if n.startswith("files/"))) and None,
    "an unknown member": lambda p: p.update({"x.txt": b"x"}),
    "an absolute path": lambda p: renamed(p, "tickets", lambda n: "/etc/" + n),
    "a path upwards": lambda p: renamed(p, "files/", lambda n: "files/../../" + n[6:]),
    "another format": lambda p: edited(p, "export", lambda c: c.replace(b'"format":2', b'"format":9')),
    "a wrong digest": lambda p: edited(p, "tickets", lambda c: c.replace(b"Blank", b"Black"), honest=False),
    "a damaged file": lambda p: edited(p, "files/", lambda c: b"X" + c[1:]),
    "no JSON": lambda p: edited(p, "tickets", lambda c: b"{" + c),
    "an unknown field": lambda p: edited(p, "tickets", lambda c: c.replace(b'{"ticket":{', b'{"ticket":{"x":1,', 1)),
    "a key upwards": lambda p: edited(p, "tickets", lambda c: c.replace(b'"key":"', b'"key":"../../', 1)),
    "a file of no comment": lambda p: edited(p, "tickets", lambda c: c.replace(b'"comment_id":null', b'"comment_id":"x"', 1)),
    "a bad id": lambda p: edited(p, "tickets", lambda c: c.replace(b'"id":"0', b'"id":"../0', 1)),
    "a bad time": lambda p: edited(p, "tickets", lambda c: c.replace(b'"created_at":"2', b'"created_at":"x', 1)),
    "number 0": lambda p: edited(p, "tickets", lambda c: c.replace(b'"number":1,', b'"number":0,', 1)),
    "number -1": lambda p: edited(p, "tickets", lambda c: c.replace(b'"number":1,', b'"number":-1,', 1)),
    "a huge number": lambda p: edited(p, "tickets", lambda c: c.replace(b'"number":1,', b'"number":9' + b"9" * 400 + b",")),
    "deep JSON": lambda p: edited(p, "tickets", lambda c: b"[" * 100_000 + b"\n" + c),
    "a memory upwards": lambda p: edited(p, "memories", lambda c: c.replace(b'"id":"', b'"id":"../', 1)),
    "a king": lambda p: edited(p, "tokens", lambda c: c.replace(b'"agent"', b'"king"')),
}  # fmt: skip


def test_refuses_what_is_no_sound_export(admin: Client, other: Client, tmp_path: Path) -> None:
    lived_in(admin)
    archive = exported(admin)
    for what, bad in BAD.items():
        answer = load(other, changed(archive, bad))
        assert answer.status_code == 400, f"{what}: {answer.text}"
        assert "\n" not in problem(answer, 400)["detail"]
    assert not list((tmp_path / "other").glob("[!dum]*"))
    assert load(other, archive).status_code == 200, "none of them has left anything in the way"


def test_refuses_what_is_no_tar(other: Client) -> None:
    for head in (b"", b"\x1f\x8b\x08", b"x" * 512, b"PK\x03\x04", b"x" * 100_000):
        problem(load(other, head + b"\0" * 1024), 400)
    problem(load(other, b""), 400)
    problem(other.post("/api/import", json={}), 415)


def test_refuses_links_and_the_like(admin: Client, other: Client) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("export.json")
        info.type, info.linkname = kind, "/etc/passwd"
        assert "no plain file" in problem(load(other, info.tobuf() + exported(admin)), 400)["detail"]


def test_refuses_a_member_over_the_limit(other: Client, admin: Client) -> None:
    head = packed({"export.json": members(exported(admin))["export.json"]}, end=b"")
    huge = archives.header("tickets-000001." + "0" * 64 + ".ndjson", 2**33)
    problem(load(other, head + huge), 413)


def test_every_cut_is_noticed(admin: Client, other: Client) -> None:
    lived_in(admin)
    archive = exported(admin)
    for end in range(0, len(archive) - 512, max(512, len(archive) // 40 // 512 * 512)):
        problem(load(other, archive[:end]), 400)
