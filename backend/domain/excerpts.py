"""Where a text says what was searched for: in plain pieces, never as markup."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from backend.domain.folding import for_index, looked_for, tokens
from backend.domain.search import Term

LONGEST = 240
_BEFORE = 60
_MOST_READ = 20_000
_MOST_READ_IN_ALL = 400_000
"""Of all texts of a page that are not plain ASCII, which take ten times as long to read."""
_FEWEST_READ = 2_000
_LONGEST_PHRASE = 32  # words, or pairs of a run without spaces, that are compared


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a text; `match` says whether it is what was searched for."""

    text: str
    match: bool


def share_of_reading(texts: int) -> int:
    """How many characters of each of so many texts are looked at, where they are not plain ASCII."""
    return max(_FEWEST_READ, min(_MOST_READ, _MOST_READ_IN_ALL // max(1, texts)))


def excerpt(text: str, terms: Sequence[Term], most: int = _MOST_READ) -> tuple[Piece, ...]:
    """About LONGEST characters around the first match, or from the beginning where there is none.

    Looks at the first _MOST_READ characters only, or `most` (see `share_of_reading`), and at what is shown.
    """
    return _around(text, matches(text, terms, most))


def best_excerpt(
    texts: Mapping[str, str], terms: Sequence[Term], otherwise: str, most: int = _MOST_READ
) -> tuple[str, tuple[Piece, ...]]:
    """The name of the first text with a match, else `otherwise`, and its excerpt."""
    for name, text in texts.items():
        spans = matches(text, terms, most)
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


def matches(text: str, terms: Sequence[Term], most: int = _MOST_READ) -> list[tuple[int, int]]:
    """Where terms that must occur stand, from the first match on as far as an excerpt shows: start and end, in order,
    without overlaps."""
    phrases = [
        _Phrase(words[:_LONGEST_PHRASE], prefix and len(words) <= _LONGEST_PHRASE)
        for words, prefix in (looked_for(term.words, term.prefix) for term in terms if not term.excluded)
        if words
    ]
    text = text[:_MOST_READ]
    if not text.isascii():
        text = text[:most]
    firsts = {phrase.words[0] for phrase in phrases}
    folded = for_index(text)
    if not any(first in folded for first in firsts):
        return []  # for a twentieth of what it takes to look at each word
    beginnings = tuple(phrase.words[0] for phrase in phrases if phrase.prefix and len(phrase.words) == 1)
    found: list[tuple[int, int]] = []
    longest = max(len(phrase.words) for phrase in phrases)
    for at, read in _windows(text, longest):
        word = read.words[at]
        if word not in firsts and not word.startswith(beginnings):
            continue
        start = read.starts[at]
        if found and start > found[0][0] + LONGEST:
            break
        if found and start < found[-1][1]:
            continue
        lengths = [len(phrase.words) for phrase in phrases if phrase.stands_at(read.words, at)]
        if lengths:
            found.append((start, read.ends[at + max(lengths) - 1]))
    return found


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    prefix: bool

    def stands_at(self, words: Sequence[str], at: int) -> bool:
        """Whether it stands there in a row of words."""
        last = at + len(self.words) - 1
        if last >= len(words):
            return False
        if self.prefix:
            return words[last].startswith(self.words[-1]) and tuple(words[at:last]) == self.words[:-1]
        return words[at] == self.words[0] and tuple(words[at : last + 1]) == self.words


@dataclass(slots=True)
class _Read:
    """The words of a text as far as they were read, and where each stands."""

    words: list[str]
    starts: list[int]
    ends: list[int]


def _windows(text: str, length: int) -> Iterator[tuple[int, _Read]]:
    """Each word of the text in turn, once `length` words from there on are read; no further than somebody asks."""
    stream = tokens(text)
    read = _Read([], [], [])
    at = 0
    while True:
        for word, start, end in islice(stream, max(0, at + length - len(read.words))):
            read.words.append(word)
            read.starts.append(start)
            read.ends.append(end)
        if at >= len(read.words):
            return
        yield at, read
        at += 1
