"""`python -m backend serve`: the process of the container."""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn

from backend import __version__
from backend.errors import BadConfiguration, StorageRefused
from backend.logs import log, start_logging
from backend.settings import Settings, load_settings
from backend.wiring import wire

GRACE_SECONDS = 8  # less than the 10 s that Docker and Podman wait before they kill
logger = logging.getLogger("backend")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code: 0, or what the error's family says (see `errors.py`)."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        start_logging(settings.log_level, settings.log_format)
        return _serve(settings, reload=asked.reload)
    except (BadConfiguration, StorageRefused) as problem:
        print(f"ticket-backend: {problem}", file=sys.stderr)
        return problem.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="A helpdesk in one process.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="answer requests; settings come from the environment")
    serve.add_argument("--reload", action="store_true", help="start anew whenever the source changes")
    return parser


def _serve(settings: Settings, *, reload: bool) -> int:
    _check_stores(settings)
    os.environ["TICKET_BACKEND_SERVED"] = "1"
    log(logger, logging.INFO, "starting", version=__version__, **settings.effective())
    if settings.api_workers > 1 and not reload:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="ticket-backend-metrics-"))
    options: dict[str, Any] = {
        "host": settings.api_host,
        "port": settings.api_port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": GRACE_SECONDS,
    }
    if reload:
        options |= {
            "reload": True,
            "reload_dirs": [str(Path(__file__).parent)],
            "reload_includes": ["*.py", "*.sql", "*.html", "*.css", "*.js"],
        }
    else:
        options["workers"] = settings.api_workers
    try:
        uvicorn.run("backend.main:app", **options)
    except OSError as problem:
        raise BadConfiguration(f"API_HOST and API_PORT: {problem}.") from None
    return 0


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
