"""Versions one after the other on the same state: each a real process, started from a source tree of its own."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.process.test_process import ROOT, TICKET, call, refused, running
from tests.upkeep.newer import NEWEST, NEXT, STEP

SCHEMA = "backend/adapters/embedded/schema"


def version(folder: Path) -> Path:
    """A source tree, to be made another version."""
    ignored = shutil.ignore_patterns("__pycache__", "scripts", "decisions")
    shutil.copytree(ROOT / "backend", folder / "backend", ignore=ignored)
    return folder


def schema_of(root: Path) -> int:
    connection = sqlite3.connect(root / "data" / "tickets.db")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.close()
    return found


def test_newer_version_takes_the_state_over_and_this_one_refuses_it_then(tmp_path: Path) -> None:
    newer = version(tmp_path / "newer")
    (newer / SCHEMA / f"{NEXT:04}_next.sql").write_text(STEP)
    with running(tmp_path) as (_, port):
        ticket = call(port, "POST", "/api/tickets", TICKET)[1]
    with running(tmp_path, PYTHONPATH=str(newer)) as (_, port):
        assert call(port, "GET", f"/api/tickets/{ticket['id']}")[1]["title"] == ticket["title"]
    assert schema_of(tmp_path) == NEXT
    code, lines = refused(tmp_path)
    assert (code, len(lines)) == (74, 1)
    assert f"schema {NEXT}, and this version knows schemas up to {NEWEST}" in lines[0]
    (tmp_path / "data" / f"before-schema-{NEXT}.db").replace(tmp_path / "data" / "tickets.db")
    with running(tmp_path) as (_, port):
        assert call(port, "GET", f"/api/tickets/{ticket['id']}")[0] == 200


@pytest.mark.skipif(NEWEST == 1, reason="there has been only one schema so far")
def test_version_before_refuses_this_ones_state(tmp_path: Path) -> None:
    before = version(tmp_path / "before")
    next((before / SCHEMA).glob(f"{NEWEST:04}_*.sql")).unlink()
    with running(tmp_path):
        pass
    code, lines = refused(tmp_path, PYTHONPATH=str(before))
    assert (code, len(lines), f"schema {NEWEST}, and this" in lines[0]) == (74, 1, True)
