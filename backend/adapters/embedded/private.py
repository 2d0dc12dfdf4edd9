"""Files and folders of the state, which are the service's alone whatever the umask is.

The umask itself stays as it is: Python writes its compiled modules by it, and a checkout's are for others too, such as
the container that a developer starts from it.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO

FILE, FOLDER = 0o600, 0o700


def create(path: Path) -> None:
    """Make an empty file, unless there is one."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE))


def open_new(path: Path) -> BinaryIO:
    """A new file, to be written. Raises FileExistsError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE), "wb")


def open_text(path: Path) -> IO[Any]:
    """A file to be written as UTF-8, its line ends as they are; empty at first."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    return os.fdopen(handle, "w", encoding="utf-8", newline="\n")


class LinkRefused(OSError):
    """A link, or something else that is no file, stands where a file of ours should."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ELOOP, "it is a link or no ordinary file", str(path))


def is_ours(path: Path) -> bool:
    """Whether this is an ordinary file with no other name. A file with two may be anybody's outside the directory."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def open_file(path: Path, folder: int | None = None, *, linked: bool = False) -> BufferedReader:
    """An ordinary file, to be read; relative to the open `folder` if there is one; with other names only if `linked`.

    Raises LinkRefused, OSError. What is opened is what was checked, whatever happens to the name meanwhile.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise LinkRefused(path) from None
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or (status.st_nlink > 1 and not linked):
        os.close(handle)
        raise LinkRefused(path)
    return os.fdopen(handle, "rb")


@contextmanager
def folder_of(path: Path) -> Iterator[int]:
    """The folder that holds this file, open, for calls with `dir_fd`. Raises LinkRefused where it is a link."""
    try:
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise LinkRefused(path.parent) from None
    try:
        yield handle
    finally:
        os.close(handle)
