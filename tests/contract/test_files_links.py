"""State directories hold files of ours alone: a link leads nowhere, whoever put it there."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.adapters.embedded import probes
from backend.adapters.embedded.files import LocalFiles
from backend.adapters.embedded.memories import MarkdownMemories
from backend.adapters.embedded.sqlite import Database
from backend.domain.memories import MemoryQuery, to_markdown
from backend.errors import MemoryNotFound, NotFound, StorageRefused, Unavailable
from tests.builders import a_memory
from tests.contract.test_files import chunks

run = asyncio.run
SECRET = "The secret of somebody else.\n"
LINKS: dict[str, Callable[[Path, Path], None]] = {
    "symbolic": lambda outside, path: path.symlink_to(outside),
    "hard": lambda outside, path: path.hardlink_to(outside),
    "broken": lambda outside, path: path.symlink_to(outside.with_suffix(".gone")),
    "folder": lambda outside, path: path.symlink_to(outside.parent),
    "pipe": lambda outside, path: os.mkfifo(path),
}


def memories_in(root: Path) -> MarkdownMemories:
    """Opened, so indexed anew."""
    memories = MarkdownMemories(root / "memories", Database(root / "data"))
    memories.open()
    return memories


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_is_no_memory(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        memory, link = a_memory(), a_memory()
        outside = tmp_path / "outside.md"
        outside.write_text(to_markdown(a_memory(body=SECRET)))
        memories = memories_in(tmp_path)
        await memories.put(memory)
        memories.close()
        path = tmp_path / f"memories/{link.id}.md"
        LINKS[kind](outside, path)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            memories = memories_in(tmp_path)
        assert [record.getMessage() for record in caplog.records if path.name in record.getMessage()] == [
            f"links and what is no file are no memories: {path.name}"
        ]
        assert list((await memories.list_memories(MemoryQuery())).items) == [memory]
        with pytest.raises(MemoryNotFound):
            await memories.get(link.id)
        with pytest.raises(MemoryNotFound):
            await memories.update(link.id, lambda found: found)
        await memories.put(link)
        assert await memories.get(link.id) == link, "the link was replaced, not written through"
        assert SECRET in outside.read_text()
        memories.close()

    run(check())


def test_a_memory_that_becomes_a_link_later_is_not_followed(tmp_path: Path) -> None:
    async def check() -> None:
        memory = a_memory()
        memories = memories_in(tmp_path)
        await memories.put(memory)
        path = tmp_path / f"memories/{memory.id}.md"
        path.rename(tmp_path / "outside.md")
        path.symlink_to(tmp_path / "outside.md")
        with pytest.raises(MemoryNotFound):
            await memories.get(memory.id)
        memories.close()

    run(check())


def test_lock_is_not_made_through_a_link(tmp_path: Path) -> None:
    memories = memories_in(tmp_path)
    (tmp_path / "memories/.lock").symlink_to(tmp_path / "outside")
    with pytest.raises(Unavailable, match="locked"):
        run(memories.put(a_memory()))
    assert not (tmp_path / "outside").exists()
    memories.close()


def test_probe_writes_through_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.adapters.embedded.probes.secrets.token_hex", lambda _: "0")
    (tmp_path / f".probe-{os.getpid()}-0").symlink_to(tmp_path / "outside")
    with pytest.raises(Unavailable, match="exists"):
        run(probes.write_file(tmp_path))
    assert not (tmp_path / "outside").exists()


def test_bytes_of_files_are_neither_read_nor_written_nor_removed_through_links(tmp_path: Path) -> None:
    async def check() -> None:
        files, outside = LocalFiles(tmp_path / "uploads"), tmp_path / "outside"
        files.open()
        outside.mkdir()
        key = "ab" + "0" * 30
        (outside / key).write_text(SECRET)
        shard = tmp_path / "uploads/ab"

        async def must_not_lead_there() -> None:
            with pytest.raises(NotFound):
                await anext(files.read(key, 0, 10))

        shard.mkdir()
        (shard / key).symlink_to(outside / key)
        await must_not_lead_there()
        (shard / key).unlink()
        shard.rmdir()
        shard.symlink_to(outside)
        await must_not_lead_there()
        with pytest.raises(Unavailable, match="link"):
            await files.delete(key)
        with pytest.raises(Unavailable, match="link"):
            await files.put(chunks(b"new"), 10, "ab" + "1" * 30)
        assert [path.name for path in outside.iterdir()] == [key]

    run(check())


def test_uploads_on_their_way_may_not_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/incoming").symlink_to(tmp_path)
    with pytest.raises(StorageRefused, match="must be a directory"):
        LocalFiles(tmp_path / "uploads").open()
