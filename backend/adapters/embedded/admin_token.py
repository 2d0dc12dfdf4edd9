"""The administrator's token where it lies in a file: one that was replaced counts without a restart."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from backend.domain.access import hash_secret
from backend.errors import BadConfiguration

RECHECK_SECONDS = 10.0
logger = logging.getLogger("backend")
_Mark = tuple[int, int, int, int]


class AdminHash:
    """The hash of the token. `read` gives it at the start, `path` is its file if it has one, `accept` checks another.

    Each process looks for itself, by one `stat` in ten seconds and only when it is asked: so every worker follows, no
    signal needs to reach it, and files that are links (as in Kubernetes) or bind mounts of a folder work alike. What
    can't be used leaves the token as it was, and is told once.
    """

    def __init__(self, read: Callable[[], str], path: Path | None, accept: Callable[[str], str]) -> None:
        self._read, self._path, self._accept = read, path, accept
        self._hash: str | None = None
        self._seen: _Mark | None = None
        self._next = 0.0

    def __call__(self) -> str:
        """The hash of the token that counts now."""
        if self._hash is None:
            mark = self._mark()
            self._hash = hash_secret(self._read())
            self._seen = mark or self._mark()  # development has only now made the file
            self._next = time.monotonic() + RECHECK_SECONDS
        elif self._path is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + RECHECK_SECONDS
            self._look(self._path)
        return self._hash

    def _look(self, path: Path) -> None:
        mark = self._mark()
        if mark == self._seen:
            return
        self._seen = mark
        try:
            changed = hash_secret(self._accept(path.read_text("utf-8").strip()))
        except (BadConfiguration, OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            logger.error("%s was replaced by what can't be used, and the token stays as it was: %s", path, reason)
            return
        if changed != self._hash:
            self._hash = changed
            logger.warning("the administrator's token was replaced; sessions of the old one are over")

    def _mark(self) -> _Mark | None:
        try:
            status = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size) if status else None
