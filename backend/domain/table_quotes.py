"""Quotation marks in a table that don't pair as they should: which rows their lines were meant to be."""

import re
from collections.abc import Sequence

_quoted = re.compile(r'"((?:[^"]|"")*+)"').match
_LINE_ENDS = "\r\n"


def cells_of_line(line: str, delimiter: str) -> list[str]:
    """The cells of one line by itself. A quotation mark that is not closed before the end of a cell is a character."""
    line = line.rstrip(_LINE_ENDS)
    cells, position = [], 0
    close = -2  # where the next `",` is: looked for only once, however many cells are open
    while True:
        cell, end = None, -1
        if line.startswith('"', position):
            whole = _quoted(line, position)
            if whole and line[whole.end() : whole.end() + 1] in ("", delimiter):
                cell, end = whole[1].replace('""', '"'), whole.end()
            else:
                if close != -1 and close <= position:
                    close = line.find(f'"{delimiter}', position + 1)
                if close > position:
                    cell, end = line[position + 1 : close], close + 1
        if cell is None:
            end = line.find(delimiter, position)
            end = len(line) if end < 0 else end
            cell = line[position:end]
        cells.append(cell)
        if end >= len(line):
            return cells
        position = end + 1


def is_row(line: str, delimiter: str, width: int) -> bool:
    """Whether a line by itself has as many cells as the table has columns."""
    return line.count(delimiter) >= width - 1 and len(cells_of_line(line, delimiter)) == width


def doubt(lines: Sequence[str], delimiter: str, width: int, first: int) -> str:
    """What to tell of lines that were read as one row, of which the first has this number; empty where all is well."""
    if width < 2 or not all(is_row(line, delimiter, width) for line in lines):
        return ""
    return (
        f"lines {first} to {first + len(lines) - 1} came in as one row, since a quotation mark is closed only there; "
        f"each of these lines has {width} cells of its own: check whether a quotation mark is wrong"
    )


def joined(first: int, last: int) -> str:
    """What is wrong with lines that can't be told apart."""
    return f"the quotation marks in lines {first} to {last} don't pair, so its cells can't be told: correct them there"
