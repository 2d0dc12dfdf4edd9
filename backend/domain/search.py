"""What a person types into a search box, understood once and never handed to an engine as its own syntax."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated

from pydantic import StringConstraints

from backend.domain.addresses import normal
from backend.domain.folding import looked_for, typed_words
from backend.domain.sla import clock
from backend.domain.text import clean_line
from backend.domain.tickets import ACTIVE, Severity, Status
from backend.domain.values import TEXT, Cleaned, Instant, instant_of
from backend.errors import Unprocessable

LONGEST_QUERY = 500
Query = Annotated[str, StringConstraints(pattern=TEXT), Cleaned(clean_line, LONGEST_QUERY)]
MOST_TERMS = 32
HELP = (
    'full text: `word`, `"a phrase"`, `prefix*`, `-not` (after a space, before a letter or a quote); '
    "a number alone, that ticket first; and fields: `status:open,waiting`, `severity:high`, "
    '`category:"Office 365"`, `team:Network`, `assignee:me`, `assignee:none`, `requester:a@example.org`, `watcher:me`, '
    "`tag:vpn`, `-tag:fax`, `number:42`, `is:overdue` (open, closed, unassigned), `created:>=2026-01-31` (updated, "
    "resolved, due; also `2026-01`, `<2026`, `2026-01..2026-03`), `before:2026-02-01`; all must match"
)

_NAMES = ("status", "severity", "category", "team", "assignee", "requester", "watcher", "tag", "number", "is")
_PEOPLE = frozenset({"assignee", "requester", "watcher"})
_NOBODY = frozenset({"none", "nobody", "unassigned"})
ME = "me"
_MOMENTS = ("created", "updated", "resolved", "due")
_FIELD = "|".join((*_NAMES, *_MOMENTS, "before", "after"))
# A minus excludes only after a space and before a letter or a quote: -1603, --force and foo-bar are words.
_MINUS = r'(?:(?<!\S)-(?="|[^\W\d_]))?'
_PART = re.compile(rf'({_MINUS})(?:({_FIELD}):((?:"[^"]*"?|[^\s"])+)|"([^"]*)"?|(\S+))', re.IGNORECASE)
_VALUE = re.compile(r'"([^"]*)"?|([^,"]+)')
_ONE_NUMBER = re.compile(r"#?([0-9]{1,15})\*?").fullmatch
_NUMBER = re.compile(r"[0-9]{1,15}").fullmatch
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?").fullmatch


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand next to each other. `prefix`: the last one may go on; `excluded`: must not occur."""

    words: tuple[str, ...]
    prefix: bool = False
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A field of a ticket must be one of `values` (None: nobody); where `excluded`, it must be none of them."""

    field: str
    values: tuple[str | int | None, ...]
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A moment of a ticket must lie from `start` on and before `end`; where `excluded`, it must not."""

    field: str
    start: Instant | None
    end: Instant | None
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A search box, understood. `terms` is None where it asks for no text at all, () where it asks for no word.

    `number` is there where a number is all that was typed: the ticket that has it comes first.
    """

    terms: tuple[Term, ...] | None
    conditions: tuple[Condition | Span, ...] = ()
    number: int | None = None

    @property
    def ranks(self) -> bool:
        """Whether there is a text that one ticket may match better than another."""
        return any(not term.excluded for term in self.terms or ())


def parse(text: str) -> tuple[Term, ...]:
    """The terms of `text`, where no field has a meaning: `word`, `"a phrase"`, `prefix*`, `-not`. All must match.

    Anything else is read as words, so no input is a syntax error; what holds no word at all gives no term.
    Raises Unprocessable where it is too long.
    """
    _must_be_short(text)
    terms = [_term(match[1], match[4], match[0][len(match[1]) :]) for match in _PART.finditer(_clean(text))]
    return _limited([term for term in terms if term])


def understand(text: str, me: str, zone: tzinfo = UTC) -> Search:
    """Terms and fields of `text`; `me` is whom that word means, and days are those of `zone`. Raises Unprocessable.

    A field that nobody knows is read as words. A known one with a value that can't be is refused, since the search
    would find nothing and not say why; in double quotes it is words again.
    """
    _must_be_short(text)
    terms: list[Term | None] = []
    conditions: list[Condition | Span] = []
    for match in _PART.finditer(_clean(text)):
        minus, field, value, phrase, bare = match.groups()
        if field:
            conditions.append(_condition(field.lower(), value, bool(minus), me, zone))
        else:
            terms.append(_term(minus, phrase, bare))
    found = _limited([term for term in terms if term], sum(_count(condition) for condition in conditions))
    number = _ONE_NUMBER(unicodedata.normalize("NFKC", text).strip())
    return Search(found if terms else None, tuple(conditions), int(number[1]) if number else None)


def being_typed(text: str) -> str:
    """The search with its last word as a beginning, since it may still be being typed: `e-mai` finds e-mail.

    What excludes, what asks for a field's value, and what stands in quotes is left as it is.
    """
    parts = list(_PART.finditer(text))
    bare = parts[-1][5] if parts and not parts[-1][1] else None
    begun = bare is not None and len(bare) > 1 and text.endswith(bare) and typed_words(bare[-1])
    return f"{text}*" if begun else text


def _must_be_short(text: str) -> None:
    if len(text) > LONGEST_QUERY:
        raise Unprocessable("The search is too long.", [("q", f"at most {LONGEST_QUERY} characters")])


def _clean(text: str) -> str:
    return clean_line(text.replace("\0", " "))


def _term(minus: str, phrase: str | None, bare: str | None) -> Term | None:
    words = typed_words(phrase or bare or "")
    if not looked_for(words, False)[0]:
        return None
    return Term(words, prefix=phrase is None and (bare or "").endswith("*"), excluded=bool(minus))


def _limited(terms: list[Term], conditions: int = 0) -> tuple[Term, ...]:
    """Each term once: what is typed again asks for nothing more, and would cost as much again."""
    once: dict[object, Term] = {}
    for term in terms:
        once.setdefault((looked_for(term.words, term.prefix), term.excluded), term)
    terms = list(once.values())
    if sum(len(term.words) for term in terms) + conditions > MOST_TERMS:
        raise Unprocessable("The search has too many words.", [("q", f"at most {MOST_TERMS} words and values")])
    return tuple(terms)


def _count(condition: Condition | Span) -> int:
    return len(condition.values) if isinstance(condition, Condition) else 1


def _condition(field: str, value: str, excluded: bool, me: str, zone: tzinfo) -> Condition | Span:
    if field in ("before", "after"):
        field, value = "created", ("<" if field == "before" else ">=") + value.strip('"')
    if field in _MOMENTS:
        return _span(field, value.strip('"'), excluded, zone)
    # (text, whether it stood in quotes); in quotes a word such as `me` means itself
    values = [((quoted or bare).strip(), bool(quoted)) for quoted, bare in _VALUE.findall(value)]
    values = [(text, quoted) for text, quoted in values if text]
    if not values:
        raise _impossible(field, value, 'a value, such as category:"Office 365"')
    if field == "is":
        return _state([text for text, _ in values], excluded)
    read = _READ.get(field)
    if read:
        return Condition(field, tuple(read(text) for text, _ in values), excluded)
    return Condition(field, tuple(_who(field, text, quoted, me) for text, quoted in values), excluded)


def _who(field: str, text: str, quoted: bool, me: str) -> str | None:
    if not quoted and field == "team" and text.lower() == "none":
        return None
    if not quoted and field == "assignee" and is_nobody(text):
        return None
    if field not in _PEOPLE:
        return text
    return me if not quoted and text.lower() == ME else normal(text)


def is_nobody(text: str) -> bool:
    """Whether the word asks for tickets without an assignee."""
    return text.casefold() in _NOBODY


def _status(text: str) -> str:
    return _one_of("status", text, [status.value for status in Status])


def _severity(text: str) -> str:
    return _one_of("severity", text, [severity.value for severity in Severity])


def _number(text: str) -> int:
    if not _NUMBER(text.removeprefix("#")):
        raise _impossible("number", text, "a ticket's number, such as 42")
    return int(text.removeprefix("#"))


_READ: dict[str, Callable[[str], str | int]] = {"status": _status, "severity": _severity, "number": _number}


def _state(names: list[str], excluded: bool) -> Condition:
    states = {
        "open": Condition("status", tuple(sorted(ACTIVE)), excluded),
        "closed": Condition("status", tuple(sorted(set(Status) - ACTIVE)), excluded),
        "unassigned": Condition("assignee", (None,), excluded),
        "overdue": Condition("is", ("overdue",), excluded),
    }
    if len(names) > 1:
        raise _impossible("is", ",".join(names), "one value; write is: once for each")
    return states[_one_of("is", names[0], list(states))]


def _one_of(field: str, text: str, allowed: list[str]) -> str:
    if text.lower() not in allowed:
        raise _impossible(field, text, f"one of {', '.join(allowed)}")
    return text.lower()


def _impossible(field: str, value: str, expected: str) -> Unprocessable:
    return Unprocessable(
        f"The search can't use {field}:{value}.",
        [("q", f"{field}: needs {expected}; to search for the words themselves, put them in double quotes")],
    )


def _span(field: str, value: str, excluded: bool, zone: tzinfo) -> Span:
    for sign in (">=", "<=", ">", "<"):
        if value.startswith(sign):
            start, end = _moment(field, value.removeprefix(sign), zone)
            after = {">=": start, ">": end}.get(sign)
            before = {"<=": end, "<": start}.get(sign)
            return Span(field, after, before, excluded)
    first, dots, last = value.partition("..")
    start, end = _moment(field, first, zone)[0], _moment(field, last if dots else first, zone)[1]
    return Span(field, start, end, excluded)


def _moment(field: str, text: str, zone: tzinfo) -> tuple[Instant, Instant]:
    """A year, a month, a day or an instant: its first moment, and the first one after it."""
    try:
        parts = _DAY(text)
        if not parts:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            return instant_of(moment), instant_of(moment + timedelta(microseconds=1))
        year, month, day = int(parts[1]), int(parts[2] or 1), int(parts[3] or 1)
        start = date(year, month, day)
        if parts[3]:
            end = start + timedelta(days=1)
        elif parts[2]:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            end = start.replace(year=year + 1)
        return instant_of(clock(zone, start, 0)), instant_of(clock(zone, end, 0))
    except (ValueError, OverflowError):
        expected = "a date such as 2026-01-31, 2026-01 or 2026, alone or after >=, >, <= or <, or two with .. between"
        raise _impossible(field, text, expected) from None
