"""Excerpts say what the text says, and mark what was searched for."""

import time

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
        ("Herr Müller, Frau Mueller, Muller", "mueller", ["Müller", "Mueller", "Muller"]),
        ("プリンターで印刷できません", "印刷", ["印刷"]),
        ("VPN接続エラー", "接続エラ", ["接続エラ"]),
        ("ไม่สามารถพิมพ์ได้", "พิมพ์", ["พิมพ์"]),
        ("Die Straße", "strasse", ["Straße"]),
        ("ＶＰＮ down", "vpn", ["ＶＰＮ"]),
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


@pytest.mark.parametrize(
    ("query", "unit"),
    [('"' + "a " * 31 + 'b"', "a "), ("あ" * 499 + "い", "あ"), (" ".join(f"{n}b*" for n in range(32)), "a ")],
    ids=["words", "a run", "beginnings"],
)
def test_costs_no_more_than_what_it_looks_at(query: str, unit: str) -> None:
    """The worst text for the worst question: each word begins what is looked for, and the end never comes."""
    terms = parse(query)

    def seconds(length: int) -> float:
        text = unit * (length // len(unit)) + "x"
        started = time.process_time()
        excerpt(text, terms)
        return time.process_time() - started

    short = min(seconds(20_000) for _ in range(3))
    assert min(seconds(1_000_000) for _ in range(3)) < 10 * short, "of a long text only the beginning is read"
    assert short < 1


@given(st.text(max_size=400), st.text(max_size=30))
def test_any_text_and_any_search_give_pieces_of_the_text(text: str, query: str) -> None:
    pieces = excerpt(text, parse(query))
    assert "".join(piece.text for piece in pieces).strip("…") in text
    assert all(piece.text for piece in pieces)
