"""Excerpts say what the text says, and mark what was searched for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.excerpts import LONGEST, excerpt
from backend.domain.search import parse


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("The printer jams.", "printer", ["printer"]),
        ("PRINTER, printer; sprinter", "printer", ["PRINTER", "printer"]),
        ("Le réseau est tombé", "reseau TOMBE", ["réseau", "tombé"]),
        ("re\u0301seau", "réseau", ["re\u0301seau"]),
        ("reset my password now", '"password now"', ["password now"]),
        ("printers and prints", "print*", ["printers", "prints"]),
        ("a b a b", '"a b"', ["a b", "a b"]),
        ("wi-fi is slow", "wi-fi", ["wi-fi"]),
        ("printer", "-printer", []),
        ("", "printer", []),
    ],
)
def test_marks_what_was_searched_for(text: str, query: str, marked: list[str]) -> None:
    pieces = excerpt(text, parse(query))
    assert [piece.text for piece in pieces if piece.match] == marked
    assert "".join(piece.text for piece in pieces) == text


def test_starts_near_the_first_match() -> None:
    pieces = excerpt("word " * 500 + "needle " + "word " * 500, parse("needle"))
    text = "".join(piece.text for piece in pieces)
    assert text.startswith("…") and text.endswith("…") and "needle" in text
    assert len(text) <= LONGEST + 2
    assert any(piece.match for piece in pieces)


@given(st.text(max_size=400), st.text(max_size=30))
def test_any_text_and_any_search_give_pieces_of_the_text(text: str, query: str) -> None:
    pieces = excerpt(text, parse(query))
    assert "".join(piece.text for piece in pieces).strip("…") in text
    assert all(piece.text for piece in pieces)
