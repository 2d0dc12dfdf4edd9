"""The same request sent twice takes effect once (`Idempotency-Key`).

The promise travels down to the store that makes the request's one decisive write, and is written in the same
commit: there is no moment in which the effect exists and its record does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from backend.domain.values import Instant

KEPT_FOR_HOURS = 24


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a key was used for: a fingerprint of the request, and its answer, opaque to the store."""

    key: str
    fingerprint: str
    answer: bytes
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Once:
    """A key whose request has not taken effect yet. `answer(result)` is the answer to keep."""

    key: str
    fingerprint: str
    expires_at: Instant
    answer: Callable[[Any], bytes]

    def wrapping(self, wrap: Callable[[Any], Any]) -> "Once":
        """The same promise for a store whose result is only a part of the answer."""
        return replace(self, answer=lambda result: self.answer(wrap(result)))

    def receipt(self, result: Any) -> Receipt:
        """The record of the request, now that its result is known."""
        return Receipt(self.key, self.fingerprint, self.answer(result), self.expires_at)


class AlreadyDone(Exception):
    """Another request with this key took effect first."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__("this Idempotency-Key has been used")
        self.receipt = receipt
