"""Where a text says what was searched for: in plain pieces, never as markup."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from backend.domain.search import Term

LONGEST = 240
_BEFORE = 60
_MOST_READ = 20_000
_TOKEN = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a text; `match` says whether it is what was searched for."""

    text: str
    match: bool


def excerpt(text: str, terms: Sequence[Term]) -> tuple[Piece, ...]:
    """About LONGEST characters around the first match, or from the beginning where there is none."""
    spans = matches(text[:_MOST_READ], terms)
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
    """Where any of the terms that must occur stands: start and end, in order, without overlaps."""
    tokens = [(_folded(found[0]), *found.span()) for found in _TOKEN.finditer(text)]
    spans: list[tuple[int, int]] = []
    for term in terms:
        words = [] if term.excluded else [word for part in term.words for word in words_of(part)]
        for index in range(len(tokens) - len(words) + 1 if words else 0):
            if _stands(words, [token for token, _, _ in tokens[index : index + len(words)]], term.prefix):
                spans.append((tokens[index][1], tokens[index + len(words) - 1][2]))
    found: list[tuple[int, int]] = []
    for span in sorted(spans):
        if not found or span[0] >= found[-1][1]:
            found.append(span)
    return found


def words_of(text: str) -> list[str]:
    """Its words, without case and diacritics, as the index has them."""
    if text.isascii():
        return _TOKEN.findall(text.lower())
    return [_folded(word) for word in _TOKEN.findall(text)]


def _stands(words: Sequence[str], said: Sequence[str], prefix: bool) -> bool:
    if not prefix:
        return words == said
    return words[:-1] == said[:-1] and said[-1].startswith(words[-1])


def _folded(word: str) -> str:
    """Without case and diacritics, as the index has it."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFD", word.lower())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
