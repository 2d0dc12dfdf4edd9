"""What a person types into a search box, understood once and never handed to an engine as its own syntax."""

import re
from dataclasses import dataclass

from backend.errors import Unprocessable

LONGEST_QUERY = 500
MOST_TERMS = 32
_PART = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand next to each other. `prefix`: the last one may go on; `excluded`: must not occur."""

    words: tuple[str, ...]
    prefix: bool = False
    excluded: bool = False


def parse(text: str) -> tuple[Term, ...]:
    """The terms of `text`: `word`, `"a phrase"`, `prefix*`, `-not`. All must match.

    Anything else is read as words, so no input is a syntax error; what holds no word at all gives no term.
    Raises Unprocessable where it is too long.
    """
    if len(text) > LONGEST_QUERY:
        raise Unprocessable("The search is too long.", [("q", f"at most {LONGEST_QUERY} characters")])
    terms = []
    for minus, phrase, bare in _PART.findall(text.replace("\0", " ")):
        chunk = phrase or bare
        words = tuple(_WORD.findall(chunk))
        if words:
            terms.append(Term(words, prefix=bare.endswith("*"), excluded=bool(minus)))
    if len(terms) > MOST_TERMS:
        raise Unprocessable("The search has too many words.", [("q", f"at most {MOST_TERMS} words")])
    return tuple(terms)
