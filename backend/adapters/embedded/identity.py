"""Whether the open database is still the one on its path.

A file can be removed or replaced while it is open: SQLite then goes on writing into what nobody finds again. Whoever
acknowledges a write asks here first.
"""

from pathlib import Path

from backend.errors import Unavailable


class FileIdentity:
    """Which file `path` and its write-ahead log were when they were opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._file = _identify(path)
        self._log_file: tuple[int, int] | None = None

    def check(self) -> None:
        """Raises Unavailable where another file, or none, lies on the path."""
        if _identify(self._path) != self._file or self._file is None:
            raise Unavailable(
                f"The database {self._path} was removed or replaced while it was open. Put it back, or restart the "
                "service to go on with what is there now."
            )

    def check_with_log(self) -> None:
        """The same for the write-ahead log too, by a connection that has begun to write and so has it open."""
        self.check()
        log = _identify(self._log)
        if self._log_file is None:
            self._log_file = log
        if log is None or log != self._log_file:
            raise Unavailable(
                f"The file {self._log} was removed or replaced while it was open. Restart the service: until then "
                "nothing can be written safely."
            )

    def forget_log(self) -> None:
        """The connection that had the log open is closed; the next one may find another."""
        self._log_file = None


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
