"""`python -m backend`: serve (the process of the container), backup, restore, export, import, move, doctor."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

from backend import __version__, serving
from backend.errors import BackupRefused, BadConfiguration, RequestError, StorageRefused, Unavailable
from backend.logs import log, start_logging
from backend.ports import Ports
from backend.settings import SERVED, VARIABLES, Settings, load_settings, read_env_file
from backend.usecases import exports, loads, moves, outbox, proofs
from backend.wiring import CloudSetup, Upkeep, moved, served, wire

APPLICATION = "backend.main:app"
WATCHED = ["*.py", "*.sql", "*.html", "*.css", "*.js"]
PROGRESS_SECONDS = 2.0
INTERRUPTED = 130  # as shells say it of SIGINT
GRACE_SECONDS = 8  # less than the 10 s that Docker and Podman wait before they kill
logger = logging.getLogger("backend")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code: 0, or what the error's family says (see `errors.py`)."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        start_logging(settings.log_level, settings.log_format, sys.stdout if asked.run is _serve else sys.stderr)
        code: int = asked.run(settings, asked)
        return code
    except (BadConfiguration, StorageRefused, BackupRefused) as problem:
        print(f"ticket-backend: {problem}", file=sys.stderr)
        return problem.exit_code
    except RequestError as problem:  # of an export or import
        told = [str(problem), *(f"{name} {what}" for name, what in getattr(problem, "problems", ()))]
        print(f"ticket-backend: {'; '.join(told)}", file=sys.stderr)
        return BackupRefused.exit_code
    except OSError as problem:
        print(f"ticket-backend: {problem}", file=sys.stderr)
        return StorageRefused.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="A helpdesk in one process.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="answer requests; settings come from the environment")
    serve.add_argument("--reload", action="store_true", help="start anew whenever the source changes")
    serve.set_defaults(run=_serve)
    backup = commands.add_parser("backup", help="one consistent copy of everything, while requests go on")
    backup.add_argument("target", metavar="DIR|-", help="a folder that keeps backups, or - for a tar stream")
    backup.add_argument("--keep", type=_positive, metavar="N", help="keep only the newest N backups in DIR")
    backup.add_argument("--prove", action="store_true", help="verify it before it gets its name (in DIR)")
    backup.add_argument("--verify", action="store_true", help="take none: prove that one could be restored")
    backup.add_argument("--name", help="which backup in DIR to verify; the newest, if left out")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="bring a backup back into empty state directories")
    restore.add_argument("source", metavar="DIR|-", help="a folder that keeps backups, or - for a tar stream")
    restore.add_argument("--name", help="which backup in DIR; the newest, if left out")
    restore.set_defaults(run=_restore)
    export = commands.add_parser("export", help="everything as one tar of JSON lines and files, for any other host")
    export.add_argument("target", metavar="FILE|-", help="the archive to write, or - for standard output")
    export.add_argument("--no-files", action="store_true", help="leave out the attachments' bytes")
    export.add_argument("--secrets", action="store_true", help="what webhooks sign with too")
    export.set_defaults(run=_export)
    load = commands.add_parser("import", help="an export into an empty installation, or on with one that was cut short")
    load.add_argument("source", metavar="FILE|-", help="the archive, or - for standard input")
    load.add_argument("--check", action="store_true", help="touch nothing: prove the archive whole and sound")
    load.set_defaults(run=_import)
    move = commands.add_parser("move", help="everything into other stores, or on with a move that was cut short")
    move.add_argument("--from", dest="source", metavar="FILE", help="settings of the stores to copy; here, if left out")
    move.add_argument("--to", dest="target", metavar="FILE", help="settings of the stores to fill; here, if left out")
    move.add_argument("--verify", action="store_true", help="copy nothing: compare both sides")
    move.set_defaults(run=_move)
    doctor = commands.add_parser("doctor", help="look everything over, also while it runs; 1 if something is wrong")
    doctor.add_argument("--mend", action="store_true", help="mend what can be mended without losing anything")
    doctor.add_argument("--checksums", action="store_true", help="also read every attachment")
    doctor.set_defaults(run=_doctor)
    setup = commands.add_parser(
        "aws-setup", help="make the DynamoDB table, S3 bucket and SQS queues, where they are missing"
    )
    setup.add_argument("--check", action="store_true", help="change nothing: say what is wrong; 1 if something is")
    setup.add_argument("--policy", action="store_true", help="print the IAM policy that serving needs")
    setup.set_defaults(run=_aws_setup)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1")
    return int(text)


def _backup(settings: Settings, asked: argparse.Namespace) -> int:
    os.nice(19)  # requests go before
    upkeep = Upkeep(settings)
    if asked.target == "-":
        told = upkeep.verify_stream(sys.stdin.buffer) if asked.verify else upkeep.stream_out(sys.stdout.buffer)
    elif asked.verify:
        told = upkeep.verify(Path(asked.target), asked.name)
    else:
        told = upkeep.back_up(Path(asked.target), asked.keep, prove=asked.prove)
    print(told, file=sys.stderr)
    return 0


def _restore(settings: Settings, asked: argparse.Namespace) -> int:
    upkeep = Upkeep(settings)
    if asked.source == "-":
        told = upkeep.restore_stream(sys.stdin.buffer)
    else:
        told = upkeep.restore(Path(asked.source), asked.name)
    print(told, file=sys.stderr)
    return 0


def _export(settings: Settings, asked: argparse.Namespace) -> int:
    with contextlib.closing(_Moving(settings)) as moving:
        moving.write_out(asked.target, files=not asked.no_files, secrets=asked.secrets)
    return 0


def _import(settings: Settings, asked: argparse.Namespace) -> int:
    with contextlib.closing(_Moving(None if asked.check else settings)) as moving:
        moving.take_in(asked.source)
    return 0


class _Moving:
    """An export or an import at the command line, with how far it has come on standard error."""

    def __init__(self, settings: Settings | None) -> None:
        self._ports = wire(settings) if settings else None
        self._told = 0.0
        if self._ports:
            self._ports.open()

    def close(self) -> None:
        """Let go of the stores."""
        if self._ports:
            self._ports.close()

    def write_out(self, target: str, *, files: bool, secrets: bool) -> None:
        """Write the archive; under its name only once it is whole."""
        if target == "-":
            counts = asyncio.run(self._write(sys.stdout.buffer, files, secrets))
        else:
            beside = Path(f"{target}.incomplete")
            with beside.open("wb") as handle:
                counts = asyncio.run(self._write(handle, files, secrets))
                handle.flush()
                os.fsync(handle.fileno())
            beside.rename(target)
        print(f"exported {_counted(counts)}", file=sys.stderr)

    async def _write(self, target: IO[bytes], files: bool, secrets: bool) -> Any:
        assert self._ports
        found: list[Any] = [None]

        def told(counts: Any) -> None:
            found[0] = counts
            self._tell("exported", counts)

        async for chunk in exports.write_out(self._ports, files=files, secrets=secrets, told=told):
            target.write(chunk)
        waiting = await outbox.waiting(self._ports)
        if waiting:
            _say(f"{waiting} messages to webhooks wait to be sent and are not in the archive; `move` takes them along")
        return found[0]

    def take_in(self, source: str) -> None:
        """Read the archive, into the stores if there are any."""
        with contextlib.ExitStack() as stack:
            handle = sys.stdin.buffer if source == "-" else stack.enter_context(Path(source).open("rb"))
            taken = asyncio.run(self._read(handle))
        print(f"{'imported' if self._ports else 'verified'} {_counted(taken.read)}", file=sys.stderr)
        if self._ports:
            done = (
                f"{taken.added} records were new, {taken.same} the same already, {taken.forwarded} brought up to date"
            )
            print(done, file=sys.stderr)

    async def _read(self, handle: IO[bytes]) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            while chunk := handle.read(1024 * 1024):
                yield chunk

        def told(taken: Any) -> None:
            self._tell("read", taken.read)

        return await (loads.load(self._ports, chunks(), told) if self._ports else loads.check(chunks(), told))

    def _tell(self, done: str, counts: Any) -> None:
        if time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            print(f"{done} {_counted(counts)}", file=sys.stderr)


def _counted(counts: Any) -> str:
    if counts is None:
        return "nothing"
    return (
        f"{counts.tickets} tickets, {counts.comments} comments, {counts.events} events, {counts.files} files "
        f"({counts.file_bytes / 1e6:.1f} MB), {counts.memories} memories, {counts.tokens} tokens"
    )


def _move(settings: Settings, asked: argparse.Namespace) -> int:
    if not (asked.source or asked.target):
        raise BadConfiguration("move needs --to FILE, --from FILE or both: files of lines such as DATA_DIR=data.")
    ends = [_settings_in(Path(name)) if name else settings for name in (asked.source, asked.target)]
    with moved(ends[0], ends[1]) as (source, target):
        for side, one in zip(("source", "target"), ends, strict=True):
            if one.dynamodb_table_name:
                _say(f"Nobody may serve the {side} meanwhile: on AWS that can't be seen from here.")
        if source.admin_hash() != target.admin_hash():
            _say("ADMIN_TOKEN is another one in the target, where the first administrator signs in with that.")
        try:
            return asyncio.run(_moved(source, target, copy=not asked.verify))
        except KeyboardInterrupt:
            _say("ticket-backend: interrupted; the same command goes on with it.")
            return INTERRUPTED
        except Unavailable as problem:
            _say(f"ticket-backend: {problem} The same command goes on with it.")
            return StorageRefused.exit_code


def _settings_in(path: Path) -> Settings:
    """Settings from the file alone; what of AWS only boto3 reads is this process's, for both sides."""
    values = read_env_file(path)
    for name, value in values.items():
        if name.startswith("AWS_") and name not in {variable.name for variable in VARIABLES}:
            if os.environ.get(name, value) != value:
                raise BadConfiguration(f"{path}: {name} is another one for the other side or here; both need the same.")
            os.environ[name] = value
    return load_settings(values)


async def _moved(source: Ports, target: Ports, *, copy: bool) -> int:
    """Copy, then prove: 0 only if all is the same."""
    progress = _Progress()
    if copy:
        done = await moves.move(source, target, progress.tell)
        _say("moved: " + (", ".join(f"{count} {outcome}" for outcome, count in sorted(done.items())) or "nothing"))
    verdict = await proofs.compare(source, target, progress.tell)
    for kind, found in verdict.kinds.items():
        sides = (f"{side.count:>9} {side.digest[:16]}" for side in (found.source, found.target))
        print(f"{kind:12} {'  '.join(sides)}  {'same' if found.same else 'DIFFERS'}")
    if verdict.lost:
        _say(f"The bytes of {verdict.lost} files are gone on both sides.")
    wrong = verdict.problems()
    for kind, told in wrong:
        _say(f"ticket-backend: {kind}: {told}")
    return BackupRefused.exit_code if wrong else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Progress:
    """How far it has come, a line every few seconds."""

    def __init__(self) -> None:
        self._kind, self._told = "", 0.0
        self._since = self._last = time.monotonic()

    def tell(self, kind: str, done: int, total: int | None) -> None:
        """So many of a kind are done."""
        moment = time.monotonic()
        if kind != self._kind:
            self._kind, self._since = kind, self._last  # when the one before was done
        self._last = moment
        if moment - self._told < PROGRESS_SECONDS:
            return
        self._told = moment
        rate = done / max(moment - self._since, 0.001)
        of = f" of {total} ({100 * done // max(total, 1)} %)" if total is not None else ""
        _say(f"{kind}: {done}{of}, {rate:.0f} a second")


def _doctor(settings: Settings, asked: argparse.Namespace) -> int:
    found = Upkeep(settings).examine(mend=asked.mend, checksums=asked.checksums)
    for what, mended in found:
        print(f"{'mended' if mended else 'wrong'}: {what}")
    left = sum(not mended for _, mended in found)
    print(f"{len(found)} found, {left} left" if found else "all is well")
    return 1 if left else 0


def _aws_setup(settings: Settings, asked: argparse.Namespace) -> int:
    setup = CloudSetup(settings)
    if asked.policy:
        print(setup.policy())
        return 0
    if not asked.check:
        for done in setup.make(print):
            print(done)
    wrong = setup.check()
    for one in wrong or ["all is well"]:
        print(f"wrong: {one}" if wrong else one)
    return 1 if wrong else 0


def _serve(settings: Settings, asked: argparse.Namespace) -> int:
    # Stopping is what was asked for, so it ends with 0, whenever it comes. (uvicorn, done, raises the signal again.)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as closing:
        sockets = [closing.enter_context(one) for one in _bind(settings)]
        closing.enter_context(served(settings))
        return _serve_on(settings, sockets, asked.reload)


def _serve_on(settings: Settings, sockets: list[socket.socket], reload: bool) -> int:
    _check_stores(settings)
    os.environ[SERVED] = "1"
    log(logger, logging.INFO, "starting", version=__version__, **settings.effective())
    options: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }
    if reload:
        here = str(Path(__file__).parent)
        watched = {"reload": True, "reload_dirs": [here], "reload_includes": WATCHED}
        return serving.serve(APPLICATION, sockets, workers=1, **watched, **options)
    if settings.api_workers == 1:
        return serving.serve(APPLICATION, sockets, workers=1, **options)
    with tempfile.TemporaryDirectory(prefix="ticket-backend-metrics-") as figures:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", figures)  # where workers add up, see web/metrics.py
        return serving.serve(APPLICATION, sockets, workers=settings.api_workers, **options)


def _bind(settings: Settings) -> list[socket.socket]:
    """Take the address before anything is started on it, to refuse in one line."""
    try:
        return serving.bind(settings.api_host, settings.api_port)
    except OSError as problem:
        where = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
        reason = problem.strerror or problem
        raise BadConfiguration(
            f"API_HOST and API_PORT: can't listen on {where}:{settings.api_port}: {reason}; choose another."
        ) from None


def _check_stores(settings: Settings) -> None:
    """Open every store once before any worker starts: migrations run in one place, refusals are one line."""
    ports = wire(settings)
    try:
        ports.open()
        ports.admin_hash()
    finally:
        ports.close()


if __name__ == "__main__":
    sys.exit(main())
