"""Where a text says what was searched for: in plain pieces, never as markup."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from backend.domain.folding import looked_for, tokens
from backend.domain.search import Term

LONGEST = 240
_BEFORE = 60
_MOST_READ = 20_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a text; `match` says whether it is what was searched for."""

    text: str
    match: bool


def excerpt(text: str, terms: Sequence[Term]) -> tuple[Piece, ...]:
    """About LONGEST characters around the first match, or from the beginning where there is none.

    Looks at the first _MOST_READ characters only, and at what is shown.
    """
    return _around(text, matches(text, terms))


def best_excerpt(texts: Mapping[str, str], terms: Sequence[Term], otherwise: str) -> tuple[str, tuple[Piece, ...]]:
    """The name of the first text with a match, else `otherwise`, and its excerpt."""
    for name, text in texts.items():
        spans = matches(text, terms)
        if spans:
            return name, _around(text, spans)
    return otherwise, _around(texts[otherwise], [])


def _around(text: str, spans: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    start = max(0, spans[0][0] - _BEFORE) if spans else 0
    if start:
        start = text.find(" ", start, spans[0][0]) + 1 or start
    end = min(len(text), max(start + LONGEST, spans[0][1] if spans else 0))
    if end < len(text):
        end = max(text.rfind(" ", start + LONGEST // 2, end), spans[0][1] if spans else 0) or end
    pieces = [Piece("…", match=False)] if start else []
    at = start
    for first, last in spans:
        if last > end:
            break
        if first > at:
            pieces.append(Piece(text[at:first], match=False))
        pieces.append(Piece(text[first:last], match=True))
        at = last
    rest = text[at:end] + ("…" if end < len(text) else "")
    return (*pieces, Piece(rest, match=False)) if rest else tuple(pieces)


def matches(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where terms that must occur stand, from the first match on as far as an excerpt shows: start and end, in order,
    without overlaps."""
    phrases = [
        _Phrase(words, prefix)
        for words, prefix in (looked_for(term.words, term.prefix) for term in terms if not term.excluded)
        if words
    ]
    if not phrases:
        return []
    found: list[tuple[int, int]] = []
    longest = max(len(phrase.words) for phrase in phrases)
    for words, starts, ends in _windows(text[:_MOST_READ], longest):
        if found and starts[0] > found[0][0] + LONGEST:
            break
        lengths = [len(phrase.words) for phrase in phrases if phrase.begins(words)]
        if lengths and (not found or starts[0] >= found[-1][1]):
            found.append((starts[0], ends[max(lengths) - 1]))
    return found


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    prefix: bool

    def begins(self, words: Sequence[str]) -> bool:
        """Whether these words, in a row, begin with it."""
        count = len(self.words)
        if not self.prefix:
            return words[0] == self.words[0] and tuple(words[:count]) == self.words
        if len(words) < count or (count > 1 and tuple(words[: count - 1]) != self.words[:-1]):
            return False
        return words[count - 1].startswith(self.words[-1])


def _windows(text: str, length: int) -> Iterator[tuple[list[str], list[int], list[int]]]:
    """At each word of the text it and those after it, `length` at most, read no further than somebody asks."""
    stream = tokens(text)
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    while True:
        for word, start, end in islice(stream, max(0, at + length - len(words))):
            words.append(word)
            starts.append(start)
            ends.append(end)
        if at >= len(words):
            return
        yield words[at : at + length], starts[at : at + length], ends[at : at + length]
        at += 1
