"""How much one person may bring in a day (UTC)."""

from dataclasses import dataclass, field

from backend.domain.limits import Recent

_LARGEST_LUMP = 256 * 1024
_MOST_RECEIPTS_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """Files, bytes of files and texts, and receipts of idempotent requests. As a limit, 0 is none."""

    files: int = 0
    size: int = 0
    receipts: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """Both together; what is given back never makes it less than nothing."""
        return Amount(
            max(0, self.files + other.files), max(0, self.size + other.size), max(0, self.receipts + other.receipts)
        )

    def fits(self, more: "Amount", most: "Amount") -> bool:
        """Whether `more` may be added to this: what it does not add to may be past its limit."""
        triples = (
            (self.files, more.files, most.files),
            (self.size, more.size, most.size),
            (self.receipts, more.receipts, most.receipts),
        )
        return all(not limit or added <= 0 or spent + added <= limit for spent, added, limit in triples)


@dataclass(frozen=True, slots=True)
class Limits:
    """What callers may not exceed: bytes of a file, which kinds of files they may not attach at all, and a day's."""

    upload: int
    forbidden_types: tuple[str, ...] = ()
    day: Amount = Amount()

    @property
    def lump(self) -> Amount:
        """So much of what is small is counted in the process before the store hears of it."""
        size = min(_LARGEST_LUMP, max(1, self.day.size // 100))
        return Amount(size=size, receipts=min(_MOST_RECEIPTS_TOGETHER, max(1, self.day.receipts // 100)))


@dataclass(slots=True)
class Ledger:
    """What people of this process have spent that the store has not heard of yet, by person and day."""

    pending: Recent[tuple[str, str], Amount] = field(default_factory=Recent)
