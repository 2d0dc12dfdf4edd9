"""Who is at a data directory: any number of processes that serve it, or one that moves it elsewhere."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.adapters.embedded import private
from backend.errors import StorageRefused

LOCK = "serving.lock"


@contextmanager
def serving(directory: Path) -> Iterator[None]:
    """Be one of those who serve. Raises StorageRefused while it is being moved."""
    with _held(directory, fcntl.LOCK_SH, "is being moved: wait until `move` has ended, or stop it."):
        yield


@contextmanager
def moving(directory: Path) -> Iterator[None]:
    """Be the only one. Raises StorageRefused while it is served, or moved by somebody else."""
    with _held(directory, fcntl.LOCK_EX, "is being served, or moved by another process: stop that first."):
        yield


@contextmanager
def _held(directory: Path, how: int, otherwise: str) -> Iterator[None]:
    try:
        directory.mkdir(private.FOLDER, parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StorageRefused(f"DATA_DIR: {directory} can't be used: {problem.strerror or problem}.") from problem
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StorageRefused(f"DATA_DIR: {directory} {otherwise}") from None
    finally:
        os.close(handle)
