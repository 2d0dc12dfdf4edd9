"""CSV as it comes: read piece by piece, whatever is in it.

A row may span lines inside double quotes. One that is longer than LONGEST_ROW is passed over to its end and told,
never held. Text is UTF-8, with or without a mark before it, and any line that is not is taken as Windows-1252.

A cell that a spreadsheet could take for a formula is written with an apostrophe before it, and read without.
"""

import codecs
import csv
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from backend.domain import table_quotes
from backend.domain.text import clean_line

LONGEST_ROW = 1024 * 1024
DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50
_PIECE = 64 * 1024
_TOO_LONG = f"the row is longer than {LONGEST_ROW // 1024} KiB"

# Whatever a spreadsheet may pass over before it looks for a formula, then one of the signs that begin one.
_MAY_CALCULATE = re.compile(
    r"""['"\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*+"""
    r"[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]|[\t\r\n]"
).match
_GUARD = "'"
_MARKS = re.compile(rb'["\r\n]').finditer
_SEPARATOR_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=(.)"?[ \t]*(?:\r\n|\n)', re.IGNORECASE).match

csv.field_size_limit(4 * LONGEST_ROW)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it begins on, where the next one begins, and its cells; None where it can't be read.

    With a `problem` it is refused; `note` is what there is to tell of one that is taken.
    """

    line: int
    end: int
    next_line: int
    cells: list[str] | None
    problem: str = ""
    note: str = ""


class _Incomplete(Exception):
    """The bytes end in the middle of a row."""


class _Lines:
    """The lines of some bytes as text, and how far they have been taken."""

    def __init__(self, held: bytes, final: bool) -> None:
        self._held, self._final = held, final
        self.taken = 0
        self.count = 0
        self.asked_beyond = False  # for more lines than there are

    def place(self) -> tuple[int, int]:
        """Where the next line begins, as (bytes, lines): to come back to by `go_to`."""
        return self.taken, self.count

    def go_to(self, place: tuple[int, int]) -> None:
        self.taken, self.count = place

    def since(self, place: tuple[int, int]) -> list[str]:
        """The lines from a place to here."""
        return [_text(line) for line in self._held[place[0] : self.taken].removesuffix(b"\n").split(b"\n")]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        end = self._held.find(b"\n", self.taken) + 1
        if not end:
            if not self._final:
                raise _Incomplete
            end = len(self._held)
            if end == self.taken:
                self.asked_beyond = True
                raise StopIteration
        line = self._held[self.taken : end]
        self.taken = end
        self.count += 1
        return _text(line)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("windows-1252", "replace")


class _Reader:
    """Reads the rows of some bytes. Of a table whose `width` is known, lines that a stray quotation mark joins come
    as the rows that they were meant to be, or are told."""

    def __init__(self, lines: _Lines, delimiter: str, line: int, width: int | None) -> None:
        self._lines, self._delimiter, self._line, self._width = lines, delimiter, line, width
        self._strict = csv.reader(lines, delimiter=delimiter, strict=True)
        self._lenient = csv.reader(lines, delimiter=delimiter)

    def read(self) -> tuple[list[str] | None, str, str]:
        """The next row's cells, what is wrong with it, what to note. Raises StopIteration, _Incomplete."""
        before = self._lines.place()
        try:
            cells = next(self._strict)
        except csv.Error:
            if self._lines.asked_beyond:  # a row asks for another line only within quotes
                return None, _unclosed(self._first(before)), ""
        else:
            return cells, "", self._doubt(before)
        self._lines.go_to(before)
        try:
            cells = next(self._lenient)
        except csv.Error as error:
            return None, f"the row can't be read: {error}", ""
        if self._lines.asked_beyond:
            return None, _unclosed(self._first(before)), ""
        return self._as_meant(before, cells) if self._width else (cells, "", "")

    def _first(self, before: tuple[int, int]) -> int:
        return self._line + before[1]

    def _doubt(self, before: tuple[int, int]) -> str:
        if not self._width or self._lines.count - before[1] < 2:
            return ""
        return table_quotes.doubt(self._lines.since(before), self._delimiter, self._width, self._first(before))

    def _as_meant(self, before: tuple[int, int], cells: list[str]) -> tuple[list[str], str, str]:
        """A row in which something follows a closing quotation mark."""
        width = self._width or 0
        after = self._lines.place()
        several = after[1] - before[1] > 1
        self._lines.go_to(before)
        meant = table_quotes.cells_of_line(next(self._lines), self._delimiter)
        if len(meant) == width and (not several or self._is_row_here()):
            return meant, "", ""
        self._lines.go_to(after)
        if several and len(cells) != width:
            return cells, table_quotes.joined(self._first(before), self._line + after[1] - 1), ""
        return cells, "", self._doubt(before)

    def _is_row_here(self) -> bool:
        """Whether another row begins at the next line; looks ahead."""
        here = self._lines.place()
        try:
            return len(next(self._strict)) == self._width
        except csv.Error:
            self._lines.go_to(here)
            return table_quotes.is_row(next(self._lines), self._delimiter, self._width or 0)
        finally:
            self._lines.go_to(here)
            self._lines.asked_beyond = False


def _cut(held: bytes, delimiter: str, start: int, line: int, *, final: bool, width: int | None = None) -> Iterator[Row]:
    """The rows that are whole in these bytes, which begin at `start`."""
    lines = _Lines(held, final)
    reader = _Reader(lines, delimiter, line, width)
    before = 0
    while True:
        try:
            cells, problem, note = reader.read()
        except (StopIteration, _Incomplete):
            return
        if cells:
            cells = [_unguarded(cell) if cell[:1] == _GUARD else cell for cell in cells]
        if cells != []:
            yield Row(line + before, start + lines.taken, line + lines.count, cells, problem, note)
        before = lines.count


def _unclosed(line: int) -> str:
    return f"a quotation mark is never closed: from line {line} on, the rest of the table was not read"


class _Skipper:
    """Looks for the end of a row that is too long: a line break outside of quotes."""

    def __init__(self, start: int, line: int) -> None:
        self.first = self.line = line
        self.end = start
        self._quoted = False

    def past(self, chunk: bytes) -> bytes | None:
        """What follows the row in these bytes; None where it goes on."""
        position = 0
        while position < len(chunk):
            quote = chunk.find(b'"', position)
            upto = quote + 1 or len(chunk)
            if not self._quoted:
                found = chunk.find(b"\n", position, upto) + 1
                if found:
                    self.end += found - position
                    self.line += 1
                    return chunk[found:]
            self.line += chunk.count(b"\n", position, upto)
            self.end += upto - position
            self._quoted ^= quote >= 0
            position = upto
        return None

    def row(self) -> Row:
        return Row(self.first, self.end, self.line, None, _unclosed(self.first) if self._quoted else _TOO_LONG)


async def rows(
    chunks: AsyncIterator[bytes], delimiter: str, start: int = 0, line: int = 1, width: int | None = None
) -> AsyncIterator[Row]:
    """The rows of a file from byte `start` on, where line `line` begins. Blank lines are passed over.

    `width` is how many columns the table has, if that is known.
    """
    held = b""
    waits = False  # whether what is held begins with a row that has not ended
    skipper: _Skipper | None = None
    async for chunk in _pieces(chunks):
        if skipper:
            rest = skipper.past(chunk)
            if rest is None:
                continue
            yield skipper.row()
            start, line, held, skipper, waits = skipper.end, skipper.line, b"", None, False
            chunk = rest
        held += chunk
        used = 0
        if not (waits and held.count(b'"') & 1):  # within quotes there is no end to look for
            for row in _cut(held, delimiter, start, line, final=False, width=width):
                yield row
                used, line = row.end - start, row.next_line
        held, start, waits = held[used:], start + used, used == 0
        if len(held) > LONGEST_ROW:
            skipper = _Skipper(start, line)
            rest = skipper.past(held)
            held = rest or b""
            if rest is not None:  # the quotes in it don't pair
                yield skipper.row()
                start, line, skipper, waits = skipper.end, skipper.line, None, False
    if skipper:
        yield skipper.row()
    else:
        for row in _cut(held, delimiter, start, line, final=True, width=width):
            yield row


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same in pieces that are soon looked through."""
    async for chunk in chunks:
        for position in range(0, len(chunk), _PIECE):
            yield chunk[position : position + _PIECE]


async def as_utf8(chunks: AsyncIterator[bytes], encoding: str | None) -> AsyncIterator[bytes]:
    """The same text in UTF-8, where it is UTF-16 or its encoding is said, and with line feeds where rows end in a
    carriage return alone, as on old Macs; else the same bytes."""
    head: bytes | None = b""
    bare = False
    held = b""
    async for chunk in _decoded(chunks, encoding):
        if head is not None:
            head += chunk
            bare_or_not = _ends_bare(head)
            if bare_or_not is None and len(head) < LONGEST_ROW:
                continue
            bare, chunk, head = bool(bare_or_not), head, None
        if bare:
            chunk = held + chunk
            held = b"\r" if chunk.endswith(b"\r") else b""
            chunk = _with_line_feeds(chunk.removesuffix(held))
        yield chunk
    if head:
        yield head if _ends_bare(head + b" ") is not True else _with_line_feeds(head)
    if held:
        yield b"\n"


def _ends_bare(head: bytes) -> bool | None:
    """Whether the first row ends with a carriage return alone; None where it goes on."""
    quoted = False
    for found in _MARKS(head):
        if found[0] == b'"':
            quoted = not quoted
        elif not quoted:
            if found[0] == b"\r" and found.end() == len(head):
                return None
            return found[0] == b"\r" and head[found.end() : found.end() + 1] != b"\n"
    return None


def _with_line_feeds(chunk: bytes) -> bytes:
    return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


async def _decoded(chunks: AsyncIterator[bytes], encoding: str | None) -> AsyncIterator[bytes]:
    decoder: codecs.IncrementalDecoder | None = None
    head: bytes | None = b""
    async for chunk in chunks:
        if head is not None:
            head += chunk
            if len(head) < 4:
                continue
            decoder, chunk, head = _decoder(head, encoding), head, None
        yield decoder.decode(chunk).encode() if decoder else chunk
    if head:
        decoder = _decoder(head, encoding)
        yield decoder.decode(head).encode() if decoder else head
    if decoder:
        yield decoder.decode(b"", True).encode()


def _decoder(head: bytes, encoding: str | None) -> codecs.IncrementalDecoder | None:
    named = encoding or _seen_encoding(head)
    return None if named == "utf-8" else codecs.getincrementaldecoder(named)("replace")


def _seen_encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = [byte == 0 for byte in head[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else "utf-8"


def separator_line(sample: bytes) -> tuple[str | None, int]:
    """What Excel's own first line (`sep=;`) says, and how many bytes it has; None and 0 where there is none."""
    found = _SEPARATOR_LINE(sample)
    return (found[1].decode("latin-1"), found.end()) if found else (None, 0)


def guess_delimiter(sample: bytes) -> str:
    """The one that cuts the first rows into the same number of cells, and into the most."""
    return max(DELIMITERS, key=lambda one: _evenness(sample, one))


def _evenness(sample: bytes, delimiter: str) -> tuple[float, int]:
    found = list(islice(_cut(sample, delimiter, 0, 1, final=True), _SAMPLE_ROWS))
    widths = [len(row.cells or ()) for row in found[: max(1, len(found) - 1)]]  # the last one may be cut off
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def header(row: Row | None) -> list[str]:
    """The columns' names, without the mark that some programs write before them."""
    return [clean_line(name) for name in _unmarked(row.cells or ())] if row else []


def _unmarked(cells: Sequence[str]) -> Iterator[str]:
    for place, cell in enumerate(cells):
        yield cell.removeprefix("\ufeff").strip().strip('"') if place == 0 else cell


def written(cells: Sequence[object]) -> bytes:
    """A row of CSV. Text that a spreadsheet could take for a formula is guarded; numbers are numbers."""
    texts = (_guarded(cell) if isinstance(cell, str) else str(cell) for cell in cells)
    return (",".join(map(_quoted, texts)) + "\r\n").encode("utf-8", "replace")


def _guarded(cell: str) -> str:
    return _GUARD + cell if _MAY_CALCULATE(cell) else cell


def _unguarded(cell: str) -> str:
    """What `_guarded` was given."""
    return cell[1:] if cell[:1] == _GUARD and _MAY_CALCULATE(cell[1:]) else cell


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in '",;\t\r\n') else cell
