"""The search indexes of an older version's database are made anew, whatever happens meanwhile."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backend import healthcheck
from backend.adapters.embedded import doctor, text_indexes
from backend.adapters.embedded import sqlite as store
from backend.domain import folding
from backend.errors import StorageRefused

ROOT = Path(__file__).parents[2]
NAMES = ("tickets_text", "comments_text", "notes_text", "memories_text")
STEP = next(number for number, sql in store.migrations() if "CREATE TABLE text_indexes" in sql)
KILLED = f"""
import os, signal, sys
from pathlib import Path
from backend.adapters.embedded import sqlite, text_indexes
text_indexes._ROWS, text_indexes.STEP_SECONDS = 3, 0
left, moment, note = int(sys.argv[2]), sys.argv[3], text_indexes._note
def noted(connection, index, reached):
    global left
    note(connection, index, reached)
    left -= 1
    if left <= 0:
        if moment == "after":
            connection.execute("COMMIT")
        os.kill(os.getpid(), {int(signal.SIGKILL)})
text_indexes._note = noted
sqlite.Database(Path(sys.argv[1])).open()
"""


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a database of the version before, with texts in it."""
    steps = [step for step in store.migrations() if step[0] < STEP]
    with monkeypatch.context() as before:
        before.setattr(store, "migrations", lambda: steps)
        database = store.Database(tmp_path)
        database.open()
        database.close()
    with store.closing(sqlite3.connect(tmp_path / "tickets.db")) as connection:
        for number in range(1, 21):
            deleted = "2026-01-01T00:00:00.000000Z" if number % 5 == 0 else None
            connection.execute(
                "INSERT INTO tickets (number, id, title, description, severity, category, status, requester, tags,"
                " created_at, updated_at, version, deleted_at)"
                " VALUES (?, ?, 'Müller', '印刷できません', 'low', 'C', 'open', 'a@x', '[]', '', '', 1, ?)",
                (number, f"t{number}", deleted),
            )
            connection.execute(
                "INSERT INTO comments (ticket_id, id, author, body, internal, created_at) VALUES (?, ?, 'A', 'Łódź', ?, '')",
                (f"t{number}", f"c{number}", number % 2),
            )
        connection.execute(
            "INSERT INTO memories (id, title, body, tags, author, created_at, updated_at, stamp)"
            " VALUES ('m', 'Søren', 'b', '[]', 'A', '', '', 's')"
        )
        connection.commit()
    return tmp_path


def killed(directory: Path, after: int, moment: str) -> int:
    command = [sys.executable, "-c", KILLED, str(directory), str(after), moment]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False).returncode


def found(directory: Path) -> dict[str, int]:
    """How many rows of each index match, once each index has been held against its table."""
    queries = dict(zip(NAMES, ("mueller", "lodz", "lodz", "soren"), strict=True))
    database = store.Database(directory)
    with database.exclusive() as connection:
        for name in NAMES:
            connection.execute(f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)")
        counts = {}
        for name, query in queries.items():
            (word,) = folding.words_of(query)
            sql = f"SELECT count(*) FROM {name} WHERE {name} MATCH ?"
            counts[name] = connection.execute(sql, (f'"{word}"',)).fetchone()[0]
    database.close()
    return counts


ALL = {"tickets_text": 16, "comments_text": 10, "notes_text": 10, "memories_text": 1}


def test_killed_at_any_step_a_start_goes_on_where_it_was(older: Path) -> None:
    for after, moment in ((1, "before"), (1, "after"), (3, "after"), (4, "before"), (2, "before")):
        assert killed(older, after, moment) == -signal.SIGKILL
    with pytest.raises(StorageRefused, match="start this version on it first"):
        store.Database(older).open(migrate=False)
    assert found(older) == ALL


def test_what_a_later_schema_changes_meanwhile_is_indexed_once(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert killed(older, 5, "after") == -signal.SIGKILL
    steps = [
        *store.migrations(),
        (99, "UPDATE tickets SET title = 'Mueller' WHERE number > 2; DELETE FROM comments WHERE internal"),
    ]
    monkeypatch.setattr(store, "migrations", lambda: steps)
    assert found(older) == ALL | {"notes_text": 0}


def test_other_rules_of_folding_make_them_anew(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(older) == ALL
    monkeypatch.setattr(folding, "VERSION", "another")
    monkeypatch.setattr(folding, "for_index", lambda text: "mueller lodz soren muller")
    assert found(older) == ALL


def test_tells_how_far_it_has_come(
    older: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(text_indexes, "TOLD_SECONDS", 0)
    monkeypatch.setattr(text_indexes, "STEP_SECONDS", 0)
    monkeypatch.setattr(text_indexes, "_ROWS", 4)
    monkeypatch.setenv("DATA_DIR", str(older))
    monkeypatch.setenv("API_PORT", "1")
    database = store.Database(older)
    tell, said = database._tell, []

    def told(line: str | None) -> None:
        tell(line)
        healthcheck.main()
        said.append(capsys.readouterr().out.strip())

    monkeypatch.setattr(database, "_tell", told)
    database.open()
    database.close()
    assert "unhealthy: not started yet: the search index tickets_text is being made anew: 45%" in said
    assert said[-1].startswith("unhealthy: no answer from"), "the note goes with the end"
    assert "the search index comments_text is being made anew:" in caplog.text


def test_doctor_makes_them_anew(older: Path) -> None:
    assert found(older) == ALL
    database = store.Database(older)
    with database.exclusive() as connection:
        connection.execute("INSERT INTO tickets_text (tickets_text) VALUES ('delete-all')")
    lines = [finding.what for finding in doctor._search_index(database, mend=True)]
    assert lines == ["the search index tickets_text does not match its table"]
    database.close()
    assert found(older) == ALL
