"""The terms of a search in FTS5's language."""

from collections.abc import Sequence

from backend.domain.folding import looked_for
from backend.domain.search import Term


def positive(terms: Sequence[Term]) -> str | None:
    """An FTS5 expression for all that must occur; None if nothing must."""
    return " AND ".join(_phrase(term) for term in terms if not term.excluded) or None


def negative(terms: Sequence[Term]) -> str | None:
    """An FTS5 expression for all that must not occur; None if anything may."""
    return " OR ".join(_phrase(term) for term in terms if term.excluded) or None


def expression(terms: Sequence[Term]) -> str:
    """An FTS5 expression for all of it; where nothing must occur, for what must not."""
    wanted, unwanted = positive(terms), negative(terms)
    return f"({wanted}) NOT ({unwanted})" if wanted and unwanted else wanted or unwanted or '""'


def _phrase(term: Term) -> str:
    # The words hold letters, digits and their marks only: inside double quotes nothing of FTS5's syntax is left.
    words, prefix = looked_for(term.words, term.prefix)
    return f'"{" ".join(words)}"' + (" *" if prefix else "")
