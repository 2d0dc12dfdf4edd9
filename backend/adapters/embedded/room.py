"""Room on the volume of a state directory: looked at before anything new is written, since the last bytes of a disk
are for deleting, signing in, and administration."""

import os
from contextlib import suppress
from pathlib import Path

from backend.adapters.embedded import private
from backend.domain.space import Space
from backend.errors import NoSpace, Unavailable

LARGEST_BALLAST = 16 * 1024 * 1024
MOST_RESERVED = 8
"""A reserve is at most this part of its volume: a small one is not refused whole."""
BALLAST = "ballast"


class Room:
    """The volume of one directory. `reserve` is in bytes; 0 is none. Looking takes some microseconds."""

    def __init__(self, directory: Path, variable: str, reserve: int) -> None:
        self._directory, self._variable, self._reserve = directory, variable, reserve

    def space(self) -> Space:
        """How it stands. Raises Unavailable."""
        try:
            status = os.statvfs(self._directory)
        except OSError as problem:
            raise Unavailable(f"{self._directory} can't be used: {problem.strerror or problem}.") from problem
        reserve = min(self._reserve, status.f_blocks * status.f_frsize // MOST_RESERVED)
        return Space(self._variable, status.f_bavail * status.f_frsize, reserve)

    def check(self) -> None:
        """Raises NoSpace where only the reserve is left, Unavailable."""
        if self._reserve:
            space = self.space()
            if space.spent:
                raise NoSpace(f"The disk is nearly full: {space}. Delete something or enlarge the volume.")

    def mind_ballast(self) -> None:
        """Put a file aside while the volume runs low, and give it up once others have filled the volume to the end:
        SQLite needs room for its log even to delete."""
        if not self._reserve:
            return
        space, path = self.space(), self._directory / BALLAST
        if not space.near:
            return
        size = min(LARGEST_BALLAST, space.reserve // 8)
        with suppress(OSError):
            if space.free < size:
                path.unlink(missing_ok=True)
            elif not space.spent and not path.exists():
                _put_aside(path, size)


def _put_aside(path: Path, size: int) -> None:
    with private.open_new(path) as handle:
        try:
            os.posix_fallocate(handle.fileno(), 0, size)
        except OSError:
            path.unlink(missing_ok=True)
