"""How alike two texts are: the cosine of their words, each counted by how rare it is among the texts at hand
(TF-IDF; Salton and Buckley, Information Processing & Management 24, 1988)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from backend.domain.folding import is_pair, words_of

MOST_ASKED = 12
_FROM_TITLE = 6
_LONGEST_WORD = 24
_SHORTEST_WORD = 3
_MOST_CODES = 10
_AS_IF = 50  # texts more, with none of the words: else a word that a few texts share would seem to be a common one
_MOST_READ = 2_000  # characters of a text; a log that was pasted below says little more

Words = Mapping[str, float]
"""Each word of a text, and how much it counts there."""


def telling(title: str, text: str) -> tuple[str, ...]:
    """Up to MOST_ASKED words by which texts like this one are found: the longest, of the title first.

    How rare a word is, which would be better to know, no store can tell at once; long words are rare. Past
    _LONGEST_WORD they are no words any more, but keys, addresses or a language without spaces. What holds a digit in
    the text comes last: a log has hundreds of times and keys that no other ticket says.
    """
    words = _longest(title)[:_FROM_TITLE]
    more = [word for word in _longest(f"{title} {text[:_MOST_READ]}") if word not in words]
    words += sorted(more, key=lambda word: not word.isalpha())
    return tuple(words[:MOST_ASKED])


def _longest(text: str) -> list[str]:
    words = dict.fromkeys(
        word for word in words_of(text) if _SHORTEST_WORD <= len(word) <= _LONGEST_WORD or is_pair(word)
    )
    return sorted(words, key=lambda word: (-len(word), word))


def counted(title: str, text: str) -> Words:
    """A text as its words. What the title says counts twice; what is said often does not count as often. Of words with
    digits only the first ones count, and twice at most: the times and keys of a log would bury what a person wrote."""
    found = Counter(words_of(f"{title} {title} {text[:_MOST_READ]}"))
    codes = [word for word in found if not word.isalpha()]
    for word in codes[:_MOST_CODES]:
        found[word] = min(found[word], 2)
    for word in codes[_MOST_CODES:]:
        del found[word]
    return {word: 1 + math.log(count) for word, count in found.items()}


def similarities(wanted: Words, others: Sequence[Words]) -> list[float]:
    """How alike each of the others is to the one wanted: 0, no word in common, to 1, the same words."""
    met = Counter(chain.from_iterable(others))
    rarity = {word: math.log(1 + (len(others) + _AS_IF) / (met[word] + 0.5)) for word in {*met, *wanted}}
    weighed = {word: weight * rarity[word] for word, weight in wanted.items()}
    length = math.sqrt(sum(weight * weight for weight in weighed.values()))
    return [_cosine(weighed, length, words, rarity) for words in others]


def _cosine(wanted: Words, length: float, other: Words, rarity: Mapping[str, float]) -> float:
    product = squares = 0.0
    for word, weight in other.items():
        weight *= rarity[word]
        squares += weight * weight
        if word in wanted:
            product += weight * wanted[word]
    return product / (length * math.sqrt(squares)) if product else 0.0
