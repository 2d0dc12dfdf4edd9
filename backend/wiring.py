"""Which adapter stands behind which port. Nothing else names an adapter; each is imported only when chosen."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from backend.domain.quotas import Amount, Limits
from backend.domain.reading import ReadLimits
from backend.domain.values import now
from backend.errors import BadConfiguration, StorageRefused, Unavailable
from backend.ports import Ports
from backend.settings import Settings, accept_admin_token, forget_empty_aws_variables


def wire(settings: Settings) -> Ports:
    """The ports that these settings ask for. Does no I/O; `Ports.open` does.

    Memories are in the bucket where the table can hold their index too; with only one of the two they are files here.
    """
    from backend.adapters.embedded.sender import HttpSender

    stores = _embedded(settings)
    if settings.dynamodb_table_name or settings.upload_bucket or settings.sqs_queue_url:
        stores |= _on_aws(settings, _cloud(settings))
    if settings.bedrock_model_id:
        stores["assistant"] = _bedrock(settings, settings.bedrock_model_id)
    rooms = [store.room for store in stores.values() if hasattr(store, "room")]
    return Ports(
        **stores,
        sender=HttpSender(settings.webhook_allow_private),
        limits=Limits(
            settings.max_upload_size,
            settings.forbidden_file_types,
            Amount(settings.upload_day_files, settings.upload_day_size, settings.receipts_per_day),
        ),
        now=now,
        backups=_backups(settings),
        reopen_days=settings.reopen_days,
        spaces=lambda: [room.space() for room in rooms],
        admin_hash=_admin_hash(settings),
    )


def _admin_hash(settings: Settings) -> Callable[[], str]:
    from backend.adapters.embedded.admin_token import AdminHash

    own = None if settings.admin_token else settings.data_dir / "admin-token"
    return AdminHash(
        lambda: settings.admin_token or own_admin_token(settings.data_dir),
        own or settings.admin_token_file,
        partial(accept_admin_token, settings),
    )


def _backups(settings: Settings) -> Any:
    from backend.adapters.embedded.backup_note import NotedBackups

    return NotedBackups(settings.data_dir, settings.backup_hours) if settings.backup_hours else None


def _embedded(settings: Settings) -> dict[str, Any]:
    from backend.adapters.embedded.assistant import OfflineAssistant
    from backend.adapters.embedded.catalogue import SqliteCatalogue
    from backend.adapters.embedded.files import LocalFiles
    from backend.adapters.embedded.jobs import SqliteJobs
    from backend.adapters.embedded.labels import SqliteLabels
    from backend.adapters.embedded.memories import MarkdownMemories
    from backend.adapters.embedded.outbox import SqliteOutbox
    from backend.adapters.embedded.sqlite import Database
    from backend.adapters.embedded.tickets import SqliteTickets
    from backend.adapters.embedded.tokens import SqliteTokens

    reserve = settings.disk_reserve
    database = Database(settings.data_dir, _read_limits(settings), reserve)
    return {
        "tickets": SqliteTickets(database),
        "tokens": SqliteTokens(database),
        "catalogue": SqliteCatalogue(database),
        "labels": SqliteLabels(database),
        "outbox": SqliteOutbox(database),
        "uploads": LocalFiles(settings.upload_dir, reserve),
        "memories": MarkdownMemories(settings.memory_dir, database, reserve),
        "jobs": SqliteJobs(database),
        "assistant": OfflineAssistant(),
    }


def _on_aws(settings: Settings, cloud: Any) -> dict[str, Any]:
    from backend.adapters.aws.catalogue import DynamoCatalogue
    from backend.adapters.aws.files import Bucket, S3Files
    from backend.adapters.aws.jobs import Queue, SqsJobs
    from backend.adapters.aws.labels import DynamoLabels
    from backend.adapters.aws.memories import S3Memories
    from backend.adapters.aws.outbox import DynamoOutbox
    from backend.adapters.aws.table import Table
    from backend.adapters.aws.tickets import DynamoTickets
    from backend.adapters.aws.tokens import DynamoTokens

    stores: dict[str, Any] = {}
    table = Table(cloud, settings.dynamodb_table_name) if settings.dynamodb_table_name else None
    bucket = Bucket(cloud, settings.upload_bucket) if settings.upload_bucket else None
    if table:
        stores = {
            "tickets": DynamoTickets(table),
            "tokens": DynamoTokens(table),
            "catalogue": DynamoCatalogue(table),
            "labels": DynamoLabels(table),
            "outbox": DynamoOutbox(table),
        }
    if bucket:
        stores["uploads"] = S3Files(bucket, settings.upload_link_seconds)
    if table and bucket:
        stores["memories"] = S3Memories(bucket, table)
    if settings.sqs_queue_url:
        stores["jobs"] = SqsJobs(Queue(cloud, settings.sqs_queue_url))
    return stores


def _bedrock(settings: Settings, model_id: str) -> Any:
    """With a cloud of its own, which it closes with itself; the threads that wait for the model are its own anyway."""
    from backend.adapters.aws.assistant import BedrockAssistant
    from backend.adapters.aws.models import Model

    return BedrockAssistant(Model(_cloud(settings), model_id))


def _read_limits(settings: Settings) -> ReadLimits:
    return ReadLimits(
        settings.read_threads, settings.read_queue, float(settings.search_seconds), float(settings.read_seconds)
    )


def _cloud(settings: Settings) -> Any:
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        raise BadConfiguration("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, or neither.")
    from backend.adapters.aws.clients import Access, Cloud

    forget_empty_aws_variables()
    return Cloud(
        Access(
            settings.aws_access_key_id,
            settings.aws_secret_access_key,
            settings.aws_session_token,
            settings.aws_default_region,
        ),
        limits=_read_limits(settings),
    )


@contextmanager
def served(settings: Settings) -> Iterator[None]:
    """Serve these stores; nobody moves them meanwhile. Raises StorageRefused. What is on AWS is not held by this."""
    from backend.adapters.embedded import presence

    if settings.dynamodb_table_name and settings.upload_bucket and settings.sqs_queue_url:
        yield  # nothing is kept here, and a container without volumes has no directory that could be written
        return
    with presence.serving(settings.data_dir):
        yield


@contextmanager
def moved(source: Settings, target: Settings) -> Iterator[tuple[Ports, Ports]]:
    """Both ends of a move, open, and nobody else's on this machine. Raises BadConfiguration, StorageRefused."""
    from backend.adapters.embedded import presence

    if _places(source) == _places(target):
        raise BadConfiguration("Both sides of the move are the same stores; nothing is to be moved.")
    ends = wire(source), wire(target)
    with ExitStack() as stack:
        for directory in {source.data_dir.resolve(), target.data_dir.resolve()}:
            stack.enter_context(presence.moving(directory))
        for ports in ends:
            stack.callback(ports.close)
            ports.open()
        yield ends


def _places(settings: Settings) -> tuple[object, ...]:
    """Where the stores of these settings are."""
    account = (settings.aws_default_region, settings.aws_access_key_id)
    table, bucket = settings.dynamodb_table_name, settings.upload_bucket
    tickets = (table, account) if table else settings.data_dir.resolve()
    uploads = (bucket, account) if bucket else settings.upload_dir.resolve()
    return tickets, uploads, (table, bucket) if table and bucket else settings.memory_dir.resolve()


class Upkeep:
    """What the command line does with the stores beside serving them: back up, restore, look over."""

    def __init__(self, settings: Settings) -> None:
        if settings.dynamodb_table_name or settings.upload_bucket:
            name = "DYNAMODB_TABLE_NAME" if settings.dynamodb_table_name else "UPLOAD_BUCKET"
            raise BadConfiguration(
                f"{name} is set: backup, restore and doctor look after the built-in database and directories alone. "
                "Use AWS's own backups, and export."
            )
        from backend.adapters.embedded import backup, doctor

        self._backup, self._doctor = backup, doctor
        self._stores = backup.Stores(settings.data_dir, settings.upload_dir, settings.memory_dir)

    def back_up(self, folder: Path, keep: int | None, *, prove: bool) -> str:
        """Take a backup; what was done, in a line. Raises BackupRefused. Both are noted for `/health`."""
        from backend.adapters.embedded import backup_note

        try:
            taken = self._backup.back_up(self._stores, self._backup.Folder(folder), keep, prove=prove)
        except Exception as problem:
            backup_note.write(self._stores.data, str(problem) or type(problem).__name__)
            raise
        backup_note.write(self._stores.data, None)
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
        data_dir.mkdir(0o700, parents=True, exist_ok=True)
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


class CloudSetup:
    """What the command line does with AWS: make what is missing, look it over, print the permissions."""

    def __init__(self, settings: Settings) -> None:
        table, bucket, queue_url = settings.dynamodb_table_name, settings.upload_bucket, settings.sqs_queue_url
        if not (table or bucket or queue_url or settings.bedrock_model_id):
            raise BadConfiguration(
                "DYNAMODB_TABLE_NAME, UPLOAD_BUCKET, SQS_QUEUE_URL or BEDROCK_MODEL_ID must be set: nothing of AWS is "
                "configured."
            )
        from backend.adapters.aws.jobs import Queue
        from backend.adapters.aws.models import Model
        from backend.adapters.aws.setup import Setup

        cloud = _cloud(settings)
        queue = Queue(cloud, queue_url) if queue_url else None
        model = Model(cloud, settings.bedrock_model_id) if settings.bedrock_model_id else None
        self._setup = Setup(cloud, table, bucket, queue, model)

    def make(self, report: Callable[[str], None] = lambda _line: None) -> list[str]:
        """Make what is missing; what was done, in lines. What takes long reports meanwhile. Raises StorageRefused."""
        try:
            return self._setup.make(report)
        except Unavailable as problem:
            raise StorageRefused(str(problem)) from problem

    def check(self) -> list[str]:
        """What is wrong, in lines."""
        return self._setup.check()

    def policy(self) -> str:
        """The IAM policy that serving needs."""
        return self._setup.policy()
