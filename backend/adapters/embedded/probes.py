"""Whether a state directory takes a write right now."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backend.adapters.embedded import private
from backend.errors import StorageRefused, Unavailable

_THREADS = ThreadPoolExecutor(4, thread_name_prefix="probe")  # which no upload or search can take
_PROBE_BYTES = 64 * 1024  # more than the slack of a last block, so that a full disk shows


def _write(directory: Path, moved_to: Path | None = None) -> None:
    path = directory / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with private.open_new(path) as handle:
            handle.write(b"\0" * _PROBE_BYTES)
            handle.flush()
            os.fsync(handle.fileno())
        if moved_to:
            path = path.rename(moved_to / path.name)
    finally:
        path.unlink(missing_ok=True)


async def write_file(directory: Path, moved_to: Path | None = None) -> None:
    """Write a file there, move it if told where to, and remove it. Raises Unavailable with the reason."""
    try:
        await asyncio.get_running_loop().run_in_executor(_THREADS, _write, directory, moved_to)
    except OSError as problem:
        raise Unavailable(f"{directory} can't be written: {problem.strerror or problem}.") from problem


def must_be_writable(directory: Path, variable: str) -> None:
    """Make the directory if it is missing, and write to it. Raises StorageRefused with the reason."""
    try:
        directory.mkdir(private.FOLDER, parents=True, exist_ok=True)
        _write(directory)
    except OSError as problem:
        raise StorageRefused(
            f"{variable}: {directory} can't be written by UID {os.getuid()}: {problem.strerror or problem}. "
            "Check the volume's owner, its free space, and that it is not mounted read-only."
        ) from problem
