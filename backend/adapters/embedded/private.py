"""Files and folders of the state, which are the service's alone whatever the umask is.

The umask itself stays as it is: Python writes its compiled modules by it, and a checkout's are for others too, such as
the container that a developer starts from it.
"""

import os
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
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE)
    return os.fdopen(handle, "w", encoding="utf-8", newline="\n")
