"""How much one caller may ask for, and how often one may guess. Times are seconds of a clock that only goes forward.

Everything here takes constant time and bounded memory, whoever asks: it forgets what is oldest first.
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST_REMEMBERED = 4_096
MINUTE = 60.0

GUESSES = 10
"""So many different wrong secrets …"""
GUESSING_SECONDS = 5 * MINUTE
"""… within this time lock an address out, …"""
SHORTEST_LOCK = MINUTE
"""… at first for so long, then for twice as long each time …"""
LONGEST_LOCK = 60 * MINUTE
"""… up to this; and after as long without a lock it begins anew."""


class Recent(Generic[Key, Value]):
    """A map that keeps between `most` and twice `most` keys: those set last."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The value last set, unless it is forgotten."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def set(self, key: Key, value: Value) -> None:
        """Remember it; half of what is known may be forgotten for it."""
        self._young[key] = value
        if len(self._young) > self._most:
            self._old, self._young = self._young, {}

    def drop(self, key: Key) -> None:
        """Forget it."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Buckets:
    """A token bucket for each key: full at first, and full again after a minute of rest.

    A bucket is one number, the moment at which it will be full: what one takes moves it ahead.
    """

    def __init__(self) -> None:
        self._full_at: Recent[str, float] = Recent()

    def take(self, key: str, per_minute: int, at: float) -> float:
        """Take one of `per_minute`. 0.0, or the seconds until there will be one."""
        one = MINUTE / per_minute
        full_at = max(self._full_at.get(key) or at, at)
        missing = full_at - at + one
        if missing > MINUTE + 1e-6:  # floats don't add up to a minute exactly
            return missing - MINUTE
        self._full_at.set(key, full_at + one)
        return 0.0


@dataclass(slots=True)
class _Guesses:
    """What one address has tried."""

    tried: tuple[int, ...]
    since: float
    locked_until: float = -math.inf
    lock: float = 0.0


def guesses_of_each(processes: int) -> int:
    """How many one of several processes may see, so that they are GUESSES together before all know of a lock."""
    return max(2, GUESSES // processes)


class LockOut:
    """Which addresses guess at secrets. The same wrong secret again and again is a stale program, not a guess."""

    def __init__(self, guesses: int = GUESSES) -> None:
        self._most = guesses
        self._guesses: Recent[str, _Guesses] = Recent()

    def wait(self, address: str, at: float) -> float:
        """Seconds until this address may try a secret that has never worked there; 0.0 for now."""
        found = self._guesses.get(address)
        return max(0.0, found.locked_until - at) if found else 0.0

    def learn(self, address: str, seconds: float, since: float) -> None:
        """Take note of a lock that another process began at `since`, for so long."""
        found = self._guesses.get(address) or _Guesses((), since)
        if since + seconds > found.locked_until:
            found.lock, found.locked_until = seconds, since + seconds
            found.tried, found.since = (), found.locked_until
            self._guesses.set(address, found)

    def failed(self, address: str, secret: int, at: float) -> float:
        """Take note of a wrong secret (a hash of it). The seconds of the lock that this one begins, else 0.0."""
        found = self._guesses.get(address) or _Guesses((), at)
        if at - found.since > GUESSING_SECONDS:
            found.tried, found.since = (), at
        if secret not in found.tried:
            found.tried = (*found.tried, secret)
        if len(found.tried) >= self._most:
            quiet = at - found.locked_until > LONGEST_LOCK
            found.lock = SHORTEST_LOCK if quiet else min(2 * found.lock, LONGEST_LOCK)
            found.locked_until = at + found.lock
            found.tried, found.since = (), found.locked_until
            begun = found.lock
        else:
            begun = 0.0
        self._guesses.set(address, found)
        return begun
