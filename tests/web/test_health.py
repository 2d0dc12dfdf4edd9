"""Health while a state directory can't be used, and once it can be used again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.main import create_app
from backend.settings import load_settings
from backend.web import health
from tests.conftest import ADMIN_TOKEN, Client, problem, variables, with_database
from tests.models import VARIABLES, Models, refusing

DIRECTORIES = {"tickets": "data", "uploads": "uploads", "memories": "memories"}


def put_file_in_place(directory: Path) -> Path:
    """A file where the directory was; where the directory is now."""
    aside = directory.rename(directory.with_name("aside"))
    directory.write_text("")
    return aside


def put_back(aside: Path, directory: Path) -> None:
    directory.unlink()
    aside.rename(directory)


@pytest.mark.parametrize("port", DIRECTORIES)
def test_says_which_port_fails_and_recovers(
    admin: Client, tmp_path: Path, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
    directory = tmp_path / DIRECTORIES[port]
    assert admin.get("/health").json()["status"] == "ok"
    aside = put_file_in_place(directory)
    answer = admin.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    states = {name: found["status"] for name, found in answer.json()["ports"].items()}
    expected = {name: "unavailable" if name == port else "ok" for name in DIRECTORIES}
    assert states == {**expected, "jobs": expected["tickets"], "assistant": "ok", "space": "ok"}, (
        "jobs lie in the tickets' database"
    )
    assert admin.get("/health/ready").status_code == 503
    assert admin.get("/health/live").status_code == 200
    put_back(aside, directory)
    assert admin.get("/health").json()["status"] == "ok"


def test_upload_without_its_directory_is_503_and_leaves_no_ticket(admin: Client, tmp_path: Path) -> None:
    aside = put_file_in_place(tmp_path / "uploads")
    fields = {"title": "T", "description": "D", "severity": "low", "category": "C"}
    answer = admin.post("/api/tickets", data=fields, files={"files": ("a.txt", b"hello")})
    problem(answer, 503)
    assert answer.headers["retry-after"] == "5"
    put_back(aside, tmp_path / "uploads")
    assert admin.get("/api/tickets").json()["items"] == []
    assert admin.post("/api/tickets", data=fields, files={"files": ("a.txt", b"hello")}).status_code == 201


def remove(uploads: Path) -> None:
    uploads.rename(uploads.with_name("aside"))


def replace_by_an_empty_one(uploads: Path) -> None:
    remove(uploads)
    uploads.mkdir()


def replace_by_a_link_to_nowhere(uploads: Path) -> None:
    remove(uploads)
    uploads.symlink_to(uploads.with_name("nowhere"))


def replace_the_folder_for_what_comes_in(uploads: Path) -> None:
    shutil.copytree(uploads, uploads.with_name("aside"))
    shutil.rmtree(uploads / "incoming")
    (uploads / "incoming").write_text("")


def put_uploads_back(uploads: Path) -> None:
    if uploads.is_symlink():
        uploads.unlink()
    elif uploads.exists():
        shutil.rmtree(uploads)
    uploads.with_name("aside").rename(uploads)


@pytest.mark.parametrize(
    "lose",
    [remove, replace_by_an_empty_one, replace_by_a_link_to_nowhere, replace_the_folder_for_what_comes_in],
)
def test_is_ready_only_while_uploads_would_be_kept(
    admin: Client, tmp_path: Path, lose: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
    ticket, uploads = admin.ticket(), tmp_path / "uploads"
    assert admin.attach(ticket["id"], b"before").status_code == 201
    lose(uploads)
    problem(admin.attach(ticket["id"], b"lost"), 503)
    answer = admin.get("/health/ready")
    assert answer.status_code == 503 and answer.json()["ports"]["uploads"]["status"] == "unavailable"
    assert "uploads" in answer.json()["ports"]["uploads"]["reason"]
    assert admin.get("/health").status_code == 503
    put_uploads_back(uploads)
    assert admin.get("/health/ready").status_code == 200
    assert admin.attach(ticket["id"], b"after").status_code == 201
    assert not list(uploads.rglob(".probe-*"))


def test_assistant_that_fails_degrades_and_keeps_no_request_away(models: Models, tmp_path: Path) -> None:
    settings = load_settings(variables(with_database(tmp_path), **VARIABLES))
    with Client(create_app(settings), raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)
        ticket = admin.ticket()
        models.script = refusing("AccessDeniedException", 403)
        assert admin.post(f"/api/tickets/{ticket['id']}/triage").json()["by"] == "offline"
        answer = admin.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "has no access to it" in answer.json()["ports"]["assistant"]["reason"]
        assert admin.get("/health/ready").status_code == 200


def test_built_in_assistant_is_well(tmp_path: Path) -> None:
    with Client(create_app(load_settings(variables(with_database(tmp_path))))) as client:
        found = client.get("/health").json()["ports"]["assistant"]
    assert (found["adapter"], found["status"]) == ("offline", "ok")
