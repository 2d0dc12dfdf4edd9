"""Backups of a real installation, taken while it is being written to, restored and compared."""

import asyncio
import io
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.embedded import backup, doctor
from backend.adapters.embedded.backup import Folder, Stores
from backend.errors import BackupRefused
from backend.usecases import attachments
from tests.upkeep.installations import ADMIN, ports_on, stores_in, ticket_with_file


@pytest.fixture
def load(stores: Stores) -> Iterator[list[str]]:
    """Somebody who files tickets with files, and removes some of the files, for as long as the test runs."""
    stop = threading.Event()
    filed: list[str] = []

    def run() -> None:
        ports = ports_on(stores)

        async def write() -> None:
            while not stop.is_set():
                identity = await ticket_with_file(ports, f"{len(filed)}".encode() * 100)
                filed.append(identity)
                if len(filed) % 3 == 0:
                    (file,) = await attachments.list_attachments(ports, ADMIN, identity)
                    await attachments.delete_attachment(ports, ADMIN, identity, file.id)

        asyncio.run(write())
        ports.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield filed
    stop.set()
    thread.join()


def rows(database: Path, table: str) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        found = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    connection.close()
    return found


def content_of(root: Path) -> dict[str, bytes]:
    """Every file but the bookkeeping ones."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".") and "incoming" not in path.parts
    }


def test_restores_exactly_what_was_there(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    backup.back_up(stores, folder)
    restored = stores_in(tmp_path / "restored")
    backup.restore(restored, folder)
    for table in ("tickets", "comments", "attachments", "events", "tokens"):
        assert rows(restored.data / "tickets.db", table) == rows(stores.data / "tickets.db", table)
    assert content_of(restored.uploads) == content_of(stores.uploads)
    assert content_of(restored.memories) == content_of(stores.memories)
    assert doctor.examine(restored, mend=False, checksums=True) == []


def test_backups_under_load_are_each_consistent(stores: Stores, load: list[str], tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    taken = []
    for _ in range(5):
        before = list(load)
        taken.append((before, backup.back_up(stores, folder)))
    for number, (before, snapshot) in enumerate(taken):
        backup.verify(folder, snapshot.name)
        restored = stores_in(tmp_path / f"restored-{number}")
        backup.restore(restored, folder, snapshot.name)
        assert doctor.examine(restored, mend=False, checksums=True) == []
        held = {row[1] for row in rows(restored.data / "tickets.db", "tickets")}
        assert set(before) <= held, "a ticket that was acknowledged before the backup began is missing"


def test_second_backup_copies_no_file_again(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    first = backup.back_up(stores, folder)
    kept = {path: path.stat().st_ino for path in (tmp_path / "backups/objects").glob("*/*")}
    second = backup.back_up(stores, folder)
    assert [entry for entry in first.files if entry.path != backup.DATABASE] == [
        entry for entry in second.files if entry.path != backup.DATABASE
    ]
    assert all(path.stat().st_ino == inode for path, inode in kept.items())


def test_proven_backup_copies_anew_what_went_bad_in_the_folder(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    first = backup.back_up(stores, folder, prove=True)
    flipped, gone = [folder.object(entry.sha256) for entry in first.files if entry.path.startswith("uploads/")][:2]
    flipped.write_bytes(b"x" * flipped.stat().st_size)
    gone.unlink()
    with pytest.raises(BackupRefused):
        backup.verify(folder)
    second = backup.back_up(stores, folder, prove=True)
    backup.verify(folder, first.name)
    backup.verify(folder, second.name)


def test_backup_that_can_not_be_proven_gets_no_name(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    kept = backup.back_up(stores, folder, prove=True)
    next(stores.uploads.glob("??/*")).unlink()  # the live bytes are gone, and so is the copy
    for entry in kept.files:
        folder.object(entry.sha256).unlink()
    with pytest.raises(BackupRefused, match="lacks the bytes of 1 attachment"):
        backup.back_up(stores, folder, prove=True)
    assert folder.names() == [kept.name]


def test_next_backup_clears_away_what_a_killed_one_left(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    backup.back_up(stores, folder)
    (tmp_path / "backups" / ".database-left").mkdir()
    (tmp_path / "backups" / "objects" / ".incoming-left").write_text("half")
    backup.back_up(stores, folder)
    left = [path for path in (tmp_path / "backups").rglob("*") if path.name.startswith(".")]
    assert left == []


def test_keeps_only_the_newest(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    for _ in range(4):
        backup.back_up(stores, folder, keep=2)
    assert len(folder.names()) == 2
    for name in folder.names():
        backup.verify(folder, name)
    used = {entry.sha256 for name in folder.names() for entry in folder.load(name).files}
    assert {path.name for path in (tmp_path / "backups/objects").glob("*/*")} == used


def test_stream_restores_the_same(stores: Stores, tmp_path: Path) -> None:
    stream = io.BytesIO()
    backup.stream_out(stores, stream)
    stream.seek(0)
    restored = stores_in(tmp_path / "restored")
    with backup.stream_in(restored, stream) as folder:
        backup.restore(restored, folder)
    assert content_of(restored.uploads) == content_of(stores.uploads)
    assert rows(restored.data / "tickets.db", "tickets") == rows(stores.data / "tickets.db", "tickets")
    assert not list(stores.uploads.glob(".backup-*"))


def test_cut_stream_is_refused(stores: Stores, tmp_path: Path) -> None:
    stream = io.BytesIO()
    backup.stream_out(stores, stream)
    cut = io.BytesIO(stream.getvalue()[: len(stream.getvalue()) // 2])
    restored = stores_in(tmp_path / "restored")
    with pytest.raises(BackupRefused), backup.stream_in(restored, cut) as folder:
        backup.restore(restored, folder)
    assert not (restored.data / "tickets.db").exists()


def test_restore_overwrites_nothing(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    backup.back_up(stores, folder)
    with pytest.raises(BackupRefused, match="overwrites nothing"):
        backup.restore(stores, folder)


@pytest.mark.parametrize("damage", ["flip", "remove", "truncate"])
def test_damage_anywhere_is_found_before_anything_is_restored(stores: Stores, tmp_path: Path, damage: str) -> None:
    folder = Folder(tmp_path / "backups")
    snapshot = backup.back_up(stores, folder)
    for entry in snapshot.files:
        path = folder.object(entry.sha256)
        whole = path.read_bytes()
        if damage == "remove":
            path.unlink()
        elif damage == "truncate":
            path.write_bytes(whole[:-1])
        else:
            path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        restored = stores_in(tmp_path / "restored")
        with pytest.raises(BackupRefused):
            backup.verify(folder)
        with pytest.raises(BackupRefused):
            backup.restore(restored, folder)
        assert not restored.data.exists()
        path.write_bytes(whole)
    backup.verify(folder)


def test_snapshot_that_names_a_file_outside_is_refused(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    snapshot = backup.back_up(stores, folder)
    manifest = tmp_path / "backups" / "snapshots" / f"{snapshot.name}.json"
    fields = json.loads(manifest.read_text())
    fields["files"][-1]["path"] = "memories/../../escaped.md"
    manifest.write_text(json.dumps(fields))
    with pytest.raises(BackupRefused, match="outside"):
        backup.restore(stores_in(tmp_path / "restored"), folder)
    assert not (tmp_path / "escaped.md").exists()


def test_two_backups_at_once_are_refused(stores: Stores, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "backups")
    with folder.locked(), pytest.raises(BackupRefused, match="Another backup"):
        backup.back_up(stores, Folder(tmp_path / "backups"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99, "version": "9"}', "not json"])
def test_what_is_no_snapshot_is_refused(stores: Stores, tmp_path: Path, text: str) -> None:
    folder = Folder(tmp_path / "backups")
    snapshot = backup.back_up(stores, folder)
    (tmp_path / "backups" / "snapshots" / f"{snapshot.name}.json").write_text(text)
    with pytest.raises(BackupRefused):
        backup.verify(folder)
