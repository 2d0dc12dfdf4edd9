"""How much room a volume has left, and what may still be written to it."""

from dataclasses import dataclass

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Space:
    """A state directory (the variable that names it), its volume's free bytes, and how many of these are a reserve.

    A reserve is for what frees room and for running the service; nothing new is taken at its cost.
    """

    name: str
    free: int
    reserve: int

    @property
    def spent(self) -> bool:
        """Whether only the reserve is left."""
        return self.free < self.reserve

    @property
    def near(self) -> bool:
        """Whether it soon will be: less than the reserve once more is left beside it."""
        return self.free < 2 * self.reserve

    def __str__(self) -> str:
        kept = f"{self.reserve // _MEBIBYTE} MiB are kept in reserve (DISK_RESERVE_MB)"
        return f"the volume of {self.name} has {self.free // _MEBIBYTE} MiB free, and {kept}"
