"""Which adapter stands behind which port. Nothing else names an adapter; each is imported only when chosen."""

import os
import secrets
from functools import cache
from pathlib import Path

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
    from backend.adapters.embedded.files import LocalFiles
    from backend.adapters.embedded.memories import MarkdownMemories
    from backend.adapters.embedded.sqlite import Database
    from backend.adapters.embedded.tickets import SqliteTickets
    from backend.adapters.embedded.tokens import SqliteTokens

    database = Database(settings.data_dir)
    return Ports(
        tickets=SqliteTickets(database),
        tokens=SqliteTokens(database),
        uploads=LocalFiles(settings.upload_dir),
        memories=MarkdownMemories(settings.memory_dir, database),
        limits=Limits(upload=settings.max_upload_size),
        now=now,
        admin_hash=cache(lambda: hash_secret(settings.admin_token or own_admin_token(settings.data_dir))),
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
