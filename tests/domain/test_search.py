"""The search box: any text is understood, and none of it is syntax of an engine."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.embedded import search as fts
from backend.domain.search import LONGEST_QUERY, Term, parse
from backend.errors import Unprocessable


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("printer", [Term(("printer",))]),
        ("print*", [Term(("print",), prefix=True)]),
        ("-scanner", [Term(("scanner",), excluded=True)]),
        ('"blank pages"', [Term(("blank", "pages"))]),
        ('-"blank pages"', [Term(("blank", "pages"), excluded=True)]),
        ('"never closed', [Term(("never", "closed"))]),
        ("wi-fi", [Term(("wi", "fi"))]),
        ("a  b", [Term(("a",)), Term(("b",))]),
        ("AND OR NOT NEAR", [Term((word,)) for word in ("AND", "OR", "NOT", "NEAR")]),
        ('!!! * - ""', []),
        ("", []),
    ],
)
def test_reads(text: str, terms: list[Term]) -> None:
    assert list(parse(text)) == terms


@pytest.fixture(scope="module")
def index():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (a, b)")
    yield connection
    connection.close()


@given(text=st.text(max_size=60) | st.text(alphabet="ab \"*-()^:{}+\\'", max_size=60))
def test_no_text_is_a_syntax_error_in_the_engine(index: sqlite3.Connection, text: str) -> None:
    try:
        terms = parse(text)
    except Unprocessable:
        return
    for expression in (fts.positive(terms), fts.negative(terms)):
        if expression:
            index.execute("SELECT count(*) FROM t WHERE t MATCH ?", (expression,)).fetchone()


@given(st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), min_size=1, max_size=8))
def test_finds_every_word_that_is_there(words: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (a)")
    connection.execute("INSERT INTO t VALUES (?)", (" ".join(words),))
    expression = fts.positive(parse(" ".join(reversed(words))))
    assert connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (expression,)).fetchone() == (1,)
    connection.close()


def test_refuses_what_is_too_long() -> None:
    with pytest.raises(Unprocessable):
        parse("a" * (LONGEST_QUERY + 1))
    with pytest.raises(Unprocessable):
        parse("a " * 33)
