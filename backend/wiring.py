"""Which adapter stands behind which port. Nothing else names an adapter; each is imported only when chosen."""

import os
import secrets
from functools import cache
from pathlib import Path
from typing import IO, Any

from backend.domain.access import hash_secret
from backend.domain.values import now
from backend.errors import BadConfiguration, StorageRefused
from backend.ports import Limits, Ports
from backend.settings import Settings

_NOT_YET = {
    "dynamodb_table_name": "DYNAMODB_TABLE_NAME",
    "upload_bucket": "UPLOAD_BUCKET",
    "sqs_queue_url": "SQS_QUEUE_URL",
    "bedrock_model_id": "BEDROCK_MODEL_ID",
}


def wire(settings: Settings) -> Ports:
    """The ports that these settings ask for. Does no I/O; `Ports.open` does."""
    for field, variable in _NOT_YET.items():
        if getattr(settings, field) is not None:
            raise BadConfiguration(
                f"{variable} is set, but this version has no adapter for it yet; unset it to use the built-in one."
            )
    from backend.adapters.embedded.catalogue import SqliteCatalogue
    from backend.adapters.embedded.files import LocalFiles
    from backend.adapters.embedded.jobs import SqliteJobs
    from backend.adapters.embedded.memories import MarkdownMemories
    from backend.adapters.embedded.outbox import SqliteOutbox
    from backend.adapters.embedded.sender import HttpSender
    from backend.adapters.embedded.sqlite import Database
    from backend.adapters.embedded.tickets import SqliteTickets
    from backend.adapters.embedded.tokens import SqliteTokens

    database = Database(settings.data_dir)
    return Ports(
        tickets=SqliteTickets(database),
        tokens=SqliteTokens(database),
        catalogue=SqliteCatalogue(database),
        outbox=SqliteOutbox(database),
        sender=HttpSender(settings.webhook_allow_private),
        uploads=LocalFiles(settings.upload_dir),
        memories=MarkdownMemories(settings.memory_dir, database),
        jobs=SqliteJobs(database),
        limits=Limits(upload=settings.max_upload_size),
        now=now,
        admin_hash=cache(lambda: hash_secret(settings.admin_token or own_admin_token(settings.data_dir))),
    )


class Upkeep:
    """What the command line does with the stores beside serving them: back up, restore, look over."""

    def __init__(self, settings: Settings) -> None:
        from backend.adapters.embedded import backup, doctor

        self._backup, self._doctor = backup, doctor
        self._stores = backup.Stores(settings.data_dir, settings.upload_dir, settings.memory_dir)

    def back_up(self, folder: Path, keep: int | None, *, prove: bool) -> str:
        """Take a backup; what was done, in a line. Raises BackupRefused."""
        taken = self._backup.back_up(self._stores, self._backup.Folder(folder), keep, prove=prove)
        return _told("took and verified" if prove else "took", taken)

    def stream_out(self, target: IO[bytes]) -> str:
        """Write a backup to a stream."""
        return _told("wrote", self._backup.stream_out(self._stores, target))

    def verify(self, folder: Path, name: str | None) -> str:
        """Prove a backup good."""
        return _told("verified", self._backup.verify(self._backup.Folder(folder), name))

    def verify_stream(self, source: IO[bytes]) -> str:
        """Prove a streamed backup good."""
        with self._backup.stream_in(self._stores, source) as folder:
            return _told("verified", self._backup.verify(folder))

    def restore(self, folder: Path, name: str | None) -> str:
        """Bring a backup back into empty state directories."""
        return _told("restored", self._backup.restore(self._stores, self._backup.Folder(folder), name))

    def restore_stream(self, source: IO[bytes]) -> str:
        """Bring a streamed backup back."""
        with self._backup.stream_in(self._stores, source) as folder:
            return _told("restored", self._backup.restore(self._stores, folder))

    def examine(self, *, mend: bool, checksums: bool) -> list[tuple[str, bool]]:
        """What is wrong, and whether it was mended."""
        found = self._doctor.examine(self._stores, mend=mend, checksums=checksums)
        return [(finding.what, finding.mended) for finding in found]


def _told(done: str, snapshot: Any) -> str:
    return (
        f"{done} backup {snapshot.name}: {snapshot.tickets} tickets, {len(snapshot.files)} files, "
        f"{snapshot.size / 1e6:.1f} MB, schema {snapshot.schema}"
    )


def own_admin_token(data_dir: Path) -> str:
    """The administrator's token where none is set (development): made once, kept in `admin-token`, mode 0600."""
    path = data_dir / "admin-token"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_token_file(path)
        return path.read_text("ascii").strip()
    except OSError as problem:
        raise StorageRefused(f"DATA_DIR: {path} can't be used: {problem.strerror or problem}.") from problem


def _make_token_file(path: Path) -> None:
    """Whole or not at all, and once, however many worker processes start together."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
