"""Words of texts as the index keeps them, and whether a text matches what a person searches for.

As the embedded index does it: words are folded (see domain/folding.py), and one in the title counts four times. A run
without spaces is as many words as it has characters, so each of its characters costs a posting.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.domain import folding
from backend.domain.search import Term

LONGEST_WORD = 64
MOST_WORDS = 1_000  # different ones of one text that are indexed
TITLE_WEIGHT = 4
_EARLIER = re.compile(r"[^\W_]+")

# BM25's usual constants; USUAL_LENGTH stands in for the average, which no counter keeps.
_K1, _B = 1.2, 0.75
USUAL_LENGTH = 60
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Text:
    """A document as lists of words: the title first, then its other parts. A phrase never spans two parts."""

    parts: tuple[tuple[str, ...], ...]

    @property
    def length(self) -> int:
        """All words."""
        return sum(len(part) for part in self.parts)

    def weights(self) -> dict[str, int]:
        """How much each word says about the document; the first MOST_WORDS of them."""
        found: dict[str, int] = {}
        for index, part in enumerate(self.parts):
            for word in part:
                if word in found or len(found) < MOST_WORDS:
                    found[word] = found.get(word, 0) + (TITLE_WEIGHT if index == 0 else 1)
        return found

    def has(self, phrase: "Phrase") -> bool:
        """Whether the words stand next to each other in one part."""
        return self.weight(phrase, enough=1) > 0

    def weight(self, phrase: "Phrase", enough: int = 1_000) -> int:
        """How often, with the title's weight; counts no further than `enough`."""
        total = 0
        for index, part in enumerate(self.parts):
            for start in range(len(part) - len(phrase.words) + 1):
                if phrase.stands_at(part, start):
                    total += TITLE_WEIGHT if index == 0 else 1
                    if total >= enough:
                        return total
        return total


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that must stand next to each other; with `prefix` the last may go on."""

    words: tuple[str, ...]
    prefix: bool

    def stands_at(self, part: Sequence[str], start: int) -> bool:
        """Whether it stands there."""
        *firsts, last = self.words
        if any(part[start + offset] != word for offset, word in enumerate(firsts)):
            return False
        found = part[start + len(firsts)]
        return found.startswith(last) if self.prefix else found == last


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search: phrases that must occur, and phrases that must not."""

    phrases: tuple[Phrase, ...]
    unwanted: tuple[Phrase, ...]

    def accepts(self, text: Text) -> bool:
        """Whether the text matches."""
        return all(text.has(phrase) for phrase in self.phrases) and not any(text.has(one) for one in self.unwanted)


def wanted(terms: Sequence[Term]) -> Wanted:
    """What a person typed, in the index's words. A term without any word says nothing."""
    found: tuple[list[Phrase], list[Phrase]] = ([], [])
    for term in terms:
        words, prefix = folding.looked_for(term.words, term.prefix)
        if words:
            found[term.excluded].append(Phrase(tuple(word[:LONGEST_WORD] for word in words), prefix))
    return Wanted(tuple(found[0]), tuple(found[1]))


def text_of(*parts: str | None) -> Text:
    """A document of these parts, the title first."""
    return Text(tuple(words_of(part or "") for part in parts))


def words_of(text: str) -> tuple[str, ...]:
    """The words, in order."""
    return tuple(word[:LONGEST_WORD] for word in folding.words_of(text))


def earlier_words_of(text: str) -> tuple[str, ...]:
    """The words as the first layout of the table has them: see `upgrade.LAYOUT`."""
    if text.isascii():
        plain = text.lower()
    else:
        apart = unicodedata.normalize("NFKD", text.casefold())
        plain = "".join(c for c in apart if not unicodedata.combining(c))
    return tuple(word[:LONGEST_WORD] for word in _EARLIER.findall(plain))


def earlier_text_of(*parts: str | None) -> Text:
    """A document as that layout has it."""
    return Text(tuple(earlier_words_of(part or "") for part in parts))


def score(weights: Mapping[str, int], found_in: Mapping[str, int], length: int) -> int:
    """BM25 in whole billionths: the better, the smaller, as the embedded index has it.

    `weights` is what each word or phrase weighs in this document, `found_in` in how many documents it was met.
    """
    total = 0.0
    for word, weight in weights.items():
        rarity = math.log(1 + _MANY / (found_in[word] + 0.5))
        total += rarity * weight * (_K1 + 1) / (weight + _K1 * (1 - _B + _B * length / USUAL_LENGTH))
    return -round(total * 1e9)
