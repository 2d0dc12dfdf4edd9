"""`python -m backend`: serve (the process of the container), backup, restore, doctor."""

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn

from backend import __version__, serving
from backend.errors import BackupRefused, BadConfiguration, StorageRefused
from backend.logs import log, start_logging
from backend.settings import SERVED, Settings, load_settings
from backend.wiring import Upkeep, wire

APPLICATION = "backend.main:app"
WATCHED = ["*.py", "*.sql", "*.html", "*.css", "*.js"]
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
    doctor = commands.add_parser("doctor", help="look everything over, also while it runs; 1 if something is wrong")
    doctor.add_argument("--mend", action="store_true", help="mend what can be mended without losing anything")
    doctor.add_argument("--checksums", action="store_true", help="also read every attachment")
    doctor.set_defaults(run=_doctor)
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


def _doctor(settings: Settings, asked: argparse.Namespace) -> int:
    found = Upkeep(settings).examine(mend=asked.mend, checksums=asked.checksums)
    for what, mended in found:
        print(f"{'mended' if mended else 'wrong'}: {what}")
    left = sum(not mended for _, mended in found)
    print(f"{len(found)} found, {left} left" if found else "all is well")
    return 1 if left else 0


def _serve(settings: Settings, asked: argparse.Namespace) -> int:
    reload: bool = asked.reload
    # Stopping is what was asked for, so it ends with 0, whenever it comes. (uvicorn, done, raises the signal again.)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _check_address(settings)
    _check_stores(settings)
    os.environ[SERVED] = "1"
    log(logger, logging.INFO, "starting", version=__version__, **settings.effective())
    options: dict[str, Any] = {
        "host": settings.api_host,
        "port": settings.api_port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }
    if reload:
        here = str(Path(__file__).parent)
        uvicorn.run(APPLICATION, reload=True, reload_dirs=[here], reload_includes=WATCHED, **options)
        return 0
    if settings.api_workers == 1:
        return serving.serve(APPLICATION, workers=1, **options)
    with tempfile.TemporaryDirectory(prefix="ticket-backend-metrics-") as figures:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", figures)  # where workers add up, see web/metrics.py
        return serving.serve(APPLICATION, workers=settings.api_workers, **options)


def _check_address(settings: Settings) -> None:
    """Try the address before anything is started on it, to refuse in one line."""
    where = f"{settings.api_host}:{settings.api_port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as problem:
        reason = problem.strerror or problem
        raise BadConfiguration(f"API_HOST and API_PORT: can't listen on {where}: {reason}; choose another.") from None


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
