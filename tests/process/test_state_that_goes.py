"""The data directory is moved, removed or replaced under a running server: nothing lost is acknowledged."""

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.process.test_process import TICKET, call, running


def ask(port: int, method: str, path: str, body: object = None) -> int:
    try:
        return call(port, method, path, body)[0]
    except HTTPError as refusal:
        return refusal.code


def file_ticket(port: int) -> int:
    return ask(port, "POST", "/api/tickets", TICKET)


def remove_all(data: Path) -> None:
    shutil.rmtree(data)


def move_away(data: Path) -> None:
    data.rename(data.with_name("elsewhere"))


def put_a_copy(data: Path) -> None:
    shutil.copytree(data, data.with_name("copy"))
    data.rename(data.with_name("elsewhere"))
    data.with_name("copy").rename(data)


def put_an_empty_one(data: Path) -> None:
    move_away(data)
    data.mkdir()


def replace_the_file(data: Path) -> None:
    shutil.copy(data / "tickets.db", data / "other.db")
    (data / "other.db").rename(data / "tickets.db")


def remove_the_log(data: Path) -> None:
    (data / "tickets.db-wal").unlink()


@pytest.mark.parametrize("lose", [remove_all, put_an_empty_one, replace_the_file, remove_the_log])
def test_a_write_that_would_be_lost_is_refused(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    with running(tmp_path) as (_, port):
        assert file_ticket(port) == 201
        lose(tmp_path / "data")
        files = sorted(tmp_path.glob("data/tickets.db"))
        assert {file_ticket(port) for _ in range(3)} == {503}
        assert ask(port, "GET", "/health/ready") == 503
        assert ask(port, "GET", "/health/live") == 200
        assert sorted(tmp_path.glob("data/tickets.db")) == files, "no empty database takes the place of a lost one"


def test_each_worker_refuses(tmp_path: Path) -> None:
    with running(tmp_path, API_WORKERS="2") as (_, port):
        assert {file_ticket(port) for _ in range(6)} == {201}
        put_a_copy(tmp_path / "data")
        assert {file_ticket(port) for _ in range(6)} == {503}


def test_it_goes_on_once_the_directory_is_back(tmp_path: Path) -> None:
    with running(tmp_path) as (_, port):
        assert file_ticket(port) == 201
        move_away(tmp_path / "data")
        assert file_ticket(port) == 503
        (tmp_path / "elsewhere").rename(tmp_path / "data")
        assert file_ticket(port) == 201
        assert ask(port, "GET", "/health/ready") == 200
    with running(tmp_path) as (_, port):
        assert len(call(port, "GET", "/api/tickets")[1]["items"]) == 2
