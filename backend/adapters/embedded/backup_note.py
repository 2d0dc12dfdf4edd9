"""What the last backup left in the data directory, and whether it is too old: the service never sees its backups."""

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.adapters.embedded import private
from backend.errors import Unavailable

NOTE = "last-backup.json"
logger = logging.getLogger("backend.backups")


def write(directory: Path, problem: str | None) -> None:
    """Note that a backup succeeded, or why it failed; nothing where the directory refuses: the backup counts."""
    with suppress(OSError):
        past = _read(directory)
        present = {"succeeded": _now().isoformat()} if problem is None else {**past, "problem": problem[:500]}
        _replace(directory, present)


def _now() -> datetime:
    return datetime.now(UTC)


def _read(directory: Path) -> dict[str, str]:
    with suppress(OSError, ValueError), private.open_file(directory / NOTE) as note:
        content = json.loads(note.read(4_096))
        if isinstance(content, dict):
            return {name: str(value) for name, value in content.items() if name in ("succeeded", "since", "problem")}
    return {}


def _replace(directory: Path, note: dict[str, str]) -> None:
    partial = directory / f"{NOTE}.{os.getpid()}"
    with private.open_text(partial) as handle:
        json.dump(note, handle)
    partial.replace(directory / NOTE)


class NotedBackups:
    """A port of `/health`: it answers while the last backup succeeded and is not older than so many hours.

    Where none was ever taken, the hours run from the first start that looked.
    """

    adapter = "note"
    remote = True  # a restart would not mend it

    def __init__(self, directory: Path, hours: int) -> None:
        self._directory = directory
        self._longest = timedelta(hours=hours)
        self._said: str | None = None

    async def probe(self) -> None:
        """Raises Unavailable with what is wrong; a change is logged."""
        reason = self._wrong()
        if reason != self._said:
            self._said = reason
            if reason:
                logger.error("%s", reason)
            else:
                logger.info("backups are taken again")
        if reason:
            raise Unavailable(reason)

    def open(self) -> None:
        """Begin to count where there is nothing yet."""
        with suppress(OSError):
            if not _read(self._directory):
                self._directory.mkdir(mode=private.FOLDER, parents=True, exist_ok=True)
                _replace(self._directory, {"since": _now().isoformat()})

    def close(self) -> None:
        """Nothing is held."""

    def _wrong(self) -> str | None:
        note = _read(self._directory)
        if "problem" in note:
            return f"the last backup failed: {note['problem']}"
        try:
            last = datetime.fromisoformat(note.get("succeeded") or note["since"])
            age = _now() - last
        except (KeyError, ValueError, TypeError):
            return "it is not known when the last backup was taken"
        if age <= self._longest:
            return None
        what = "the last backup succeeded" if "succeeded" in note else "there is no backup, and the first start was"
        return f"{what} {age // timedelta(hours=1)} hours ago, more than {self._longest // timedelta(hours=1)}"
