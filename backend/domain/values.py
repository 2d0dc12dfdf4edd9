"""The values that every subject shares: ids, instants, text, pages."""

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError
from pydantic_core.core_schema import no_info_before_validator_function

from backend.domain import addresses
from backend.domain.text import clean_line, clean_text, least_length
from backend.errors import InvalidCursor

Item = TypeVar("Item")

# RFC 3339, UTC, always microseconds: `2026-11-22T10:00:00.000000Z`. Text order is time order, in any store.
Instant = str

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_is_id = re.compile(ID_PATTERN).fullmatch


def now() -> Instant:
    """This moment."""
    return instant(time.time_ns() // 1000)


def instant(microseconds: int) -> Instant:
    """The moment so many microseconds after 1970."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06d}Z"


def instant_of(moment: datetime) -> Instant:
    """`moment`, which must know its offset, as an Instant."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _exists_in_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 of UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_exists_in_utc)]
"""A time that somebody gives, with its offset."""


class _Ids:
    """ULIDs (github.com/ulid/spec): 48 bits of milliseconds, then 80 random bits.

    Within one process each is greater than the one before, as the spec's monotonic variant: in the same
    millisecond the random part is counted up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._random = 0

    def next(self) -> str:
        with self._lock:
            millisecond = time.time_ns() // 1_000_000
            if millisecond > self._millisecond:
                self._millisecond, self._random = millisecond, secrets.randbits(79)
            else:
                self._random += 1
            return _crockford((self._millisecond << 80) | self._random)


def _crockford(number: int) -> str:
    return "".join([_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5)])


new_id = _Ids().next


def is_id(text: str) -> bool:
    """Whether `text` can be an id at all; what can't is not worth asking a store for."""
    return _is_id(text) is not None


def _no_comma(tag: str) -> str:
    if "," in tag:
        raise ValueError("must not hold a comma; send each tag by itself")
    return tag


# Of addresses: what turns the direction of writing could let one pass for another.
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
# A NUL breaks C libraries; whatever else is not text has been cleaned away before (domain/text.py).
TEXT = r"^[^\x00]*$"


LONGEST_PROSE = 100_000
_LARGEST = 4 * LONGEST_PROSE  # what is longer still is refused for it, and not worth cleaning


@dataclass(frozen=True, slots=True)
class Cleaned:
    """As an annotation of text: it is cleaned before anything is judged, and has at most `longest` characters, as it
    was typed or as it is kept: whichever is less, since cleaning drops some, and NFC makes two or three of others. So
    what was read may be sent back."""

    clean: Callable[[str], str]
    longest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """To pydantic: a step before all others."""
        return no_info_before_validator_function(self._judged, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """To pydantic: how the documentation tells of the length."""
        return {**handler(schema), "maxLength": self.longest}

    def _judged(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        cleaned = self.clean(value) if len(value) <= _LARGEST else value
        if min(len(value), len(cleaned)) > self.longest and least_length(cleaned) > self.longest:
            raise PydanticKnownError("string_too_long", {"max_length": self.longest})
        return cleaned


Title = Annotated[str, StringConstraints(min_length=1, pattern=TEXT), Cleaned(clean_line, 200)]
Prose = Annotated[str, StringConstraints(min_length=1, pattern=TEXT), Cleaned(clean_text, LONGEST_PROSE)]
Note = Annotated[str, StringConstraints(pattern=TEXT), Cleaned(clean_text, 2_000)]
Name = Annotated[str, StringConstraints(min_length=1, pattern=TEXT), Cleaned(clean_line, 100)]
Address = Annotated[
    str,
    BeforeValidator(lambda text: addresses.read(text) if isinstance(text, str) else text),
    StringConstraints(min_length=1, pattern=LINE),
]
"""Somebody, in the normal form of domain/addresses.py, however it was written."""
AddressFilter = Annotated[
    str,
    BeforeValidator(lambda text: addresses.read_filter(text) if isinstance(text, str) else text),
    StringConstraints(min_length=1, pattern=LINE),
]
"""The same where tickets are looked for; it may be half an address."""
TagFilter = Annotated[str, StringConstraints(min_length=1, pattern=TEXT), Cleaned(clean_line, 50)]
Tag = Annotated[TagFilter, AfterValidator(_no_comma)]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a list, and the cursor of the next page (None at the end)."""

    items: Sequence[Item]
    next_cursor: str | None = None


def fingerprint(*parts: object) -> str:
    """A short digest of any JSON-able values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def seal_cursor(query: str, position: Sequence[Any]) -> str:
    """An opaque cursor: where the next page starts (`position`), good for one query (its fingerprint)."""
    text = json.dumps([query[:16], *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def open_cursor(query: str, cursor: str, *kinds: type) -> list[Any]:
    """The position in `cursor`, one value of each of `kinds`. Raises InvalidCursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise InvalidCursor from None
    if not isinstance(values, list) or len(values) != len(kinds) + 1 or values[0] != query[:16]:
        raise InvalidCursor
    position = values[1:]
    if not all(type(value) is kind and _can_be_kept(value) for value, kind in zip(position, kinds, strict=True)):
        raise InvalidCursor
    return position


def _can_be_kept(value: Any) -> bool:
    """Whether a store can hold such a value at all: 64 bits of a number, text without half a surrogate pair."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, str) or value.isascii() or value.encode("utf-8", "replace").decode() == value
