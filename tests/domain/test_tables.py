"""CSV in pieces of any size reads like the whole."""

import asyncio
import csv
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.tables import LONGEST_ROW, Row, as_utf8, guess_delimiter, rows, separator_line, written

CELLS = st.text(alphabet=st.sampled_from('ab",;\n\r\u00e4\u2028 \0'), max_size=8)


async def pieces(content: bytes, size: int):
    for position in range(0, len(content), size):
        yield content[position : position + size]


def read(content: bytes, size: int = 1_000_000, delimiter: str = ",", start: int = 0, line: int = 1) -> list[Row]:
    async def collect() -> list[Row]:
        return [row async for row in rows(pieces(content[start:], size), delimiter, start, line)]

    return asyncio.run(collect())


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8), st.integers(1, 40))
def test_reads_what_was_written_in_any_pieces(table: list[list[str]], size: int) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(table)
    content = out.getvalue().encode()
    found = read(content, size)
    assert [row.cells for row in found] == table
    for before, after in pairwise(found):
        assert read(content, size, start=before.end, line=before.next_line)[0] == after, "any row can be gone on from"


@given(st.binary(max_size=400), st.integers(1, 40))
def test_pieces_never_matter_and_nothing_breaks_it(content: bytes, size: int) -> None:
    assert read(content, size) == read(content)


def test_row_that_is_too_long_is_told_and_the_next_one_read() -> None:
    content = b"a,b\n" + b'"' + b"x\n" * LONGEST_ROW + b'",1\nlast,2\n'
    first, second, third = read(content, 100_000)
    assert first.cells == ["a", "b"] and third.cells == ["last", "2"]
    assert second.cells is None and "longer than" in second.problem
    assert (second.line, third.line) == (2, LONGEST_ROW + 3)


def test_open_quote_costs_what_it_swallows_and_no_more_memory() -> None:
    content = b'a,b\n"never closed,1\n' + b"row,1\n" * 400_000
    found = read(content, 256 * 1024)
    assert found[0].cells == ["a", "b"] and found[1].cells is None
    assert "from line 2 on, the rest of the table was not read" in found[1].problem


@given(st.integers(1, 40), st.sampled_from(['"it broke', '"it ""broke"" again', '"', '"x""']))
def test_row_whose_quote_is_never_closed_is_refused(size: int, cell: str) -> None:
    first, second, third = read(f"a,b\n1,2\n3,{cell}\n4,four\n".encode(), size)
    assert (first.cells, second.cells, third.cells) == (["a", "b"], ["1", "2"], None)
    assert third.problem.startswith("a quotation mark is never closed: from line 3 on") and third.line == 3
    closed = read(b'a,b\n1,"x"', size)
    assert closed[-1].cells == ["1", "x"], "a last line needs no line break"


LINES = {
    "open": (b'1,"Printer broken,low', ["1", '"Printer broken', "low"]),
    "inches": (b'2,Monitor 27",high', ["2", 'Monitor 27"', "high"]),
    "quoted inches": (b'"3","Monitor 27"","low"', ["3", 'Monitor 27"', "low"]),
    "quoted": (b'4,"Screen, wide","""high"""', ["4", "Screen, wide", '"high"']),
    "two lines": (b'5,"One\nand two",low', ["5", "One\nand two", "low"]),
    "said": (b'6,"He said "no" to it",low', ["6", 'He said "no" to it', "low"]),
    "plain": (b"7,It is on fire,critical", ["7", "It is on fire", "critical"]),
}


def read_wide(content: bytes, size: int = 1_000_000, start: int = 0, line: int = 1) -> list[Row]:
    async def collect() -> list[Row]:
        return [row async for row in rows(pieces(content[start:], size), ",", start, line, 3)]

    return asyncio.run(collect())


@pytest.mark.parametrize("after", [name for name in LINES if name not in ("open", "inches")])
def test_stray_quote_that_pairs_with_a_later_one_joins_no_rows(after: str) -> None:
    table = [LINES["open"], LINES[after], LINES["quoted"], LINES["plain"]]
    found = read_wide(b"\n".join(line for line, _ in table) + b"\n")
    if after in ("plain", "quoted", "said", "quoted inches"):
        assert [row.cells for row in found] == [cells for _, cells in table]
    else:
        assert found[0].cells == table[0][1] and found[1].cells == table[1][1]
    assert [row.line for row in found][:2] == [1, 2]


def test_lines_that_may_be_one_row_or_two_are_told_by_number() -> None:
    joined, last = read_wide(b"\n".join(LINES[name][0] for name in ("open", "inches", "plain")))
    assert joined.cells == ["1", "Printer broken,low\n2,Monitor 27", "high"] and last.cells == LINES["plain"][1]
    assert joined.note.startswith("lines 1 to 2 came in as one row") and not last.note
    torn, whole = read_wide(b'1,"first\nsaid "no",to,me",low\n7,It is on fire,critical\n')
    assert torn.problem.startswith("the quotation marks in lines 1 to 2 don't pair") and not whole.problem


@given(st.lists(st.sampled_from(sorted(LINES)), max_size=6), st.integers(1, 60))
def test_stray_quotes_read_the_same_in_any_pieces_and_from_any_row(names: list[str], size: int) -> None:
    content = b"\n".join(LINES[name][0] for name in names) + b"\n"
    found = read_wide(content, size)
    assert found == read_wide(content)
    for before, after in pairwise(found):
        assert read_wide(content, size, before.end, before.next_line)[0] == after
    assert all(row.note or row.problem or row.cells in [cells for _, cells in LINES.values()] for row in found)


def test_utf_16_comes_in_pieces_too() -> None:
    text = "a;ä\U0001f600\n" * 10

    async def collect(encoding: str | None, content: bytes, size: int) -> bytes:
        return b"".join([chunk async for chunk in as_utf8(pieces(content, size), encoding)])

    for size in (1, 3, 1000):
        assert asyncio.run(collect(None, text.encode("utf-16"), size)) == text.encode()
        assert asyncio.run(collect("windows-1252", b"\xe4", size)) == "ä".encode()
        assert asyncio.run(collect("utf-8", "ä".encode(), size)) == "ä".encode()
    assert asyncio.run(collect(None, b"x", 1)) == b"x"


def test_delimiter_is_the_one_that_cuts_evenly() -> None:
    assert guess_delimiter(b"a;b;c\n1,5;2;3\n1;2,5;3\n") == ";"
    assert guess_delimiter(b"a\tb\n1, 2\t3\n") == "\t"
    assert guess_delimiter(b'a|b\n"x|y"|2\n') == "|"
    assert guess_delimiter(b"") == ","


@given(
    st.lists(st.lists(st.text(max_size=8) | st.from_regex(r"['\"\s]*[=+@-].?", fullmatch=True), min_size=1), max_size=5)
)
def test_what_is_written_is_harmless_and_read_as_it_was(table: list[list[str]]) -> None:
    table = [[cell.replace("\r", "\n") for cell in row] for row in table]
    content = b"".join(map(written, table))
    assert [row.cells for row in read(content)] == [row for row in table if row != [""]]
    for cells in csv.reader(io.StringIO(content.decode(), newline="")):
        for cell in cells:
            assert not cell.lstrip('" \u200b\ufeff\xa0').startswith(
                ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b")
            )


def test_numbers_of_our_own_stay_numbers() -> None:
    cells = [-5, 1.5, "-5", "\uff1d1", "a", "'", "''=1", "it's", "x;=1"]
    assert written(cells).decode() == "-5,1.5,'-5,'\uff1d1,a,',''" + "'=1,it's,\"x;=1\"\r\n"


def test_rows_may_end_as_on_old_macs() -> None:
    async def collect(content: bytes, size: int) -> bytes:
        return b"".join([chunk async for chunk in as_utf8(pieces(content, size), None)])

    for size in (1, 2, 3, 1000):
        assert asyncio.run(collect(b'a,"x\ny"\r1,2\r\n3,4\r', size)) == b'a,"x\ny"\n1,2\n3,4\n'
        assert asyncio.run(collect(b'a,"x\ry"\r\n1,2\r\n', size)) == b'a,"x\ry"\r\n1,2\r\n'
        assert asyncio.run(collect(b"a,b\r", size)) == b"a,b\n"
        assert asyncio.run(collect("a,\u00e4\r1,2".encode("utf-16-le"), size)) == "a,\u00e4\n1,2".encode()


def test_separator_line_is_read_and_passed_over() -> None:
    assert separator_line(b"sep=;\r\na;b") == (";", 7)
    assert separator_line(b'\xef\xbb\xbf"sep=|"\na') == ("|", 11)
    assert separator_line(b"separator;b\n") == (None, 0)
