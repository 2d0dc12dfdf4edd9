"""The inverted index in the table: which documents hold a word, newest first, and the search over it.

A search reads a bounded number of postings a request. Words are read together, each list as far as the others need
it; what the lists propose is checked against the documents themselves, so phrases, exclusions and postings that a
crash left behind need nothing of the index.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backend.adapters.aws import words
from backend.adapters.aws.table import Item, Table
from backend.adapters.aws.words import Phrase, Text, Wanted
from backend.domain.pages import PageBudget
from backend.domain.values import open_cursor, seal_cursor
from backend.errors import InvalidCursor

Document = TypeVar("Document")

TICKETS, MEMORIES, COMMENTS, NOTES = "W", "V", "U", "X"

RANKED_MATCHES = 1_000
_PAGE = 500  # postings a call
_MOST_CALLS = 24  # for postings, a request, beside one for each spelling
_MOST_LISTS = 8  # words whose lists are read: the longest; the rest is checked on the documents
_MOST_ENDINGS = 32  # words that the prefixes of a search may stand for
_FEW = 200  # so few candidates are ranked by their own text
_MOST_LOOKED_AT = 300  # documents loaded in vain, a request
_END = "\U0010ffff"


def posting(namespace: str, word: str, where: str, document: str, weight: int, length: int, version: int) -> Item:
    """That the document at this place (in the order of creation) holds the word."""
    return {
        "pk": _partition(namespace, word),
        "sk": f"{word} {where}",
        "doc": document,
        "weight": weight,
        "length": length,
        "version": version,
    }


def _partition(namespace: str, word: str) -> str:
    return f"{namespace}#{word[0]}"


@dataclass(frozen=True, slots=True)
class Posting:
    """A document's id, what the words searched for weigh in it, and its length."""

    document: str
    weights: Mapping[str, int]
    length: int


@dataclass(slots=True)
class _List:
    """The documents with one of `spellings`, read in order of their places as far as `bound`; None: to the end."""

    table: Table
    namespace: str
    name: str
    spellings: list[str]
    forward: bool
    after: str | None
    found: dict[str, Posting] = field(default_factory=dict)
    bounds: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        start = self.after or ("" if self.forward else _END)
        self.bounds = dict.fromkeys(self.spellings, start)

    @property
    def bound(self) -> str | None:
        """As far as every spelling was read."""
        open_ones = [bound for bound in self.bounds.values() if bound is not None]
        if not open_ones:
            return None
        return min(open_ones) if self.forward else max(open_ones)

    def read_on(self) -> None:
        """One call for the spelling that is furthest behind."""
        behind = self.bound
        word = next(spelling for spelling, bound in self.bounds.items() if bound == behind)
        low, high = f"{word} ", f"{word} {_END}"
        if behind not in ("", _END):
            # Past the last one read: a place is followed by nothing, so one more character is the next key.
            low, high = (f"{word} {behind}!", high) if self.forward else (low, f"{word} {_before(behind)}")
        items, more = self.table.query(
            _partition(self.namespace, word), low=low, high=high, forward=self.forward, limit=_PAGE
        )
        for item in items:
            self._add(item, item["sk"][len(word) + 1 :])
        self.bounds[word] = items[-1]["sk"][len(word) + 1 :] if more and items else None

    def _add(self, item: Item, place: str) -> None:
        before = self.found.get(place)
        weight = item["weight"] + (before.weights[self.name] if before else 0)
        self.found[place] = Posting(item["doc"], {self.name: weight}, item["length"])


def _before(place: str | None) -> str:
    """The greatest text that is less, for places that end in a digit."""
    assert place
    return place[:-1] + chr(ord(place[-1]) - 1) + _END


def _lists(table: Table, namespace: str, found: Wanted, *, forward: bool, after: str | None) -> list[_List]:
    names = {f"{phrase.words[-1]}*" if phrase.prefix else phrase.words[-1] for phrase in found.phrases}
    names |= {word for phrase in found.phrases for word in phrase.words[:-1]}
    lists = []
    endings = _MOST_ENDINGS
    for name in sorted(names, key=lambda name: (-len(name), name))[:_MOST_LISTS]:
        spellings = _endings(table, namespace, name[:-1], endings) if name.endswith("*") else [name]
        endings -= len(spellings) if name.endswith("*") else 0
        lists.append(_List(table, namespace, name, spellings, forward, after))
    return lists


def _endings(table: Table, namespace: str, prefix: str, most: int) -> list[str]:
    """The first words with this prefix, by skipping from one to the next."""
    found: list[str] = []
    low = prefix
    for _ in range(most):
        items, _more = table.query(_partition(namespace, prefix), low=low, high=prefix + _END, limit=1)
        if not items:
            break
        found.append(items[0]["sk"].partition(" ")[0])
        low = found[-1] + "!"  # a word is followed by a space
    return found


@dataclass(slots=True)
class Candidates:
    """Documents that all lists name, by place and in order; `reached` is how far, None: to the end."""

    postings: list[tuple[str, Posting]]
    reached: str | None
    met: dict[str, int]
    """In how many documents each word was met, as far as was read."""


def candidates(
    table: Table, namespace: str, found: Wanted, *, forward: bool = False, after: str | None = None, enough: int
) -> Candidates:
    """At least `enough` documents with all the words, if the budget of calls allows it."""
    lists = _lists(table, namespace, found, forward=forward, after=after)
    calls = _MOST_CALLS + sum(len(one.spellings) for one in lists)
    while True:
        bounds = [bound for one in lists if (bound := one.bound) is not None]
        reached = (min(bounds) if forward else max(bounds)) if bounds else None
        shortest = min((one for one in lists if one.bound is None), key=lambda one: len(one.found), default=None)
        if shortest is not None and len(shortest.found) <= _FEW and not _unread(lists):
            return Candidates(sorted(shortest.found.items(), reverse=not forward), None, _met(lists))
        both = _in_all(lists, reached, forward)
        if reached is None or len(both) >= enough or calls <= 0:
            return Candidates(both, reached, _met(lists))
        if shortest is not None and all(_passed(place, reached, forward) for place in shortest.found):
            return Candidates(both, None, _met(lists))
        next(one for one in lists if one.bound == reached).read_on()
        calls -= 1


def _unread(lists: Sequence[_List]) -> bool:
    return any(one.bound in ("", _END) for one in lists)


def _passed(place: str, reached: str, forward: bool) -> bool:
    return place <= reached if forward else place >= reached


def _met(lists: Sequence[_List]) -> dict[str, int]:
    return {one.name: len(one.found) for one in lists}


def _in_all(lists: Sequence[_List], reached: str | None, forward: bool) -> list[tuple[str, Posting]]:
    smallest = min(lists, key=lambda one: len(one.found))
    places = [
        place
        for place in smallest.found
        if all(place in one.found for one in lists) and (reached is None or _passed(place, reached, forward))
    ]
    return [(place, _together(lists, place)) for place in sorted(places, reverse=not forward)]


def _together(lists: Sequence[_List], place: str) -> Posting:
    weights = {name: weight for one in lists for name, weight in one.found[place].weights.items()}
    return Posting(lists[0].found[place].document, weights, lists[0].found[place].length)


# ---- Ranking -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranked(Generic[Document]):
    """A document and what orders it: the score, then the newest."""

    document: Document
    score: int
    order: int


class Ranking(Generic[Document]):
    """The best matches first, over the newest RANKED_MATCHES; see `page`."""

    def __init__(
        self,
        load: Callable[[Sequence[str]], Mapping[str, Document]],
        text: Callable[[Document], Text],
        accepts: Callable[[Document], bool],
        order: Callable[[str], int],
        length: Callable[[Document], int],
    ) -> None:
        self._load = load
        self._text = text
        self._accepts = accepts
        self._order = order
        self._length = length

    def page(
        self, table: Table, namespace: str, search: Wanted, limit: int, after: tuple[int, int] | None
    ) -> tuple[list[Ranked[Document]], tuple[int, int] | None]:
        """Up to `limit` documents past (score, order), and where the next page goes on."""
        found = candidates(table, namespace, search, enough=RANKED_MATCHES)
        newest = found.postings[:RANKED_MATCHES]
        if len(newest) <= _FEW:
            documents = self._load([one.document for _, one in newest])
            pairs = [
                (self._scored(search, documents[one.document], found.met), place, one.document)
                for place, one in newest
                if one.document in documents
            ]
        else:
            documents = {}
            pairs = [(words.score(one.weights, found.met, one.length), place, one.document) for place, one in newest]
        ranked = sorted((score, -self._order(place), document) for score, place, document in pairs)
        return self._taken([one for one in ranked if after is None or one[:2] > after], documents, search, limit)

    def _taken(
        self, ranked: Sequence[tuple[int, int, str]], known: Mapping[str, Document], search: Wanted, limit: int
    ) -> tuple[list[Ranked[Document]], tuple[int, int] | None]:
        taken: list[Ranked[Document]] = []
        budget = PageBudget()
        seen: set[str] = set()
        for count, (score, order, document) in enumerate(self._loaded(ranked, known, limit + 1)):
            fits = document is not None and self._accepts(document) and search.accepts(self._text(document))
            if document is not None and fits and ranked[count][2] not in seen:
                if len(taken) == limit or not budget.takes_length(self._length(document)):
                    return taken, (taken[-1].score, taken[-1].order)
                seen.add(ranked[count][2])
                taken.append(Ranked(document, score, order))
            elif count + 1 - len(taken) >= _MOST_LOOKED_AT:
                return taken, (score, order)
        return taken, None

    def _loaded(
        self, ranked: Sequence[tuple[int, int, str]], known: Mapping[str, Document], step: int
    ) -> Iterator[tuple[int, int, Document | None]]:
        """The documents, a few at a time, as they are asked for."""
        for start in range(0, len(ranked), step):
            part = ranked[start : start + step]
            documents = known or self._load([document for _, _, document in part])
            for score, order, document in part:
                yield score, order, documents.get(document)

    def _scored(self, search: Wanted, document: Document, met: Mapping[str, int]) -> int:
        text = self._text(document)
        weights = {
            name: text.weight(phrase) for phrase in search.phrases for name, phrase in _single(phrase) if name in met
        }
        return words.score(weights, met, text.length)


def _single(phrase: Phrase) -> Iterator[tuple[str, Phrase]]:
    """A phrase's words as the lists name them, each for itself."""
    *firsts, last = phrase.words
    for word in firsts:
        yield word, Phrase((word,), False)
    yield (f"{last}*" if phrase.prefix else last), Phrase((last,), phrase.prefix)


def sealed_rank(query: str, score: int, order: int) -> str:
    """A cursor; the order as text, since it has more digits than a number in a cursor may have."""
    return seal_cursor(query, [score, str(order)])


def opened_rank(query: str, cursor: str) -> tuple[int, int]:
    """The score and the order in a cursor. Raises InvalidCursor."""
    score, order = open_cursor(query, cursor, int, str)
    if not re.fullmatch(r"-?[0-9]{1,80}", order):
        raise InvalidCursor
    return score, int(order)
