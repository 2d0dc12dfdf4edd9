"""How much one person may bring in a day."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What callers may not exceed: bytes of a file, and which kinds of files they may not attach at all."""

    upload: int
    forbidden_types: tuple[str, ...] = ()
