"""People's own text as HTML: escaped, with line breaks, links and code, and nothing that reaches out of its place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup, escape

from backend.web.pages.addresses import addresses

# A fence may hold its first line itself; one word there is the name of a language.
_OPENING = re.compile(r"[ \t]*+```++[ \t]*+([^`\n]*+)").fullmatch
_is_closing = re.compile(r"[ \t]*+```++[ \t]*+").fullmatch
_is_language = re.compile(r"[\w+#.\-]{0,40}[ \t]*").fullmatch
_TICKS = re.compile(r"`+|\n")
_NUMBER = re.compile(r"(?<![\w&#/])#([1-9][0-9]{0,8})(?![\w#])", re.ASCII)
_NONE: Mapping[int, str] = {}
_HEADING = re.compile(r"^#{1,4} +(.+)$", re.MULTILINE)
# Characters that turn the direction of the text around them; where no element isolates them, they go.
_FENCE = "```"
MOST_MARKS = 2_000
"""So many fences, links, headings and pieces of code of one text are shown as such; the rest of it as it was typed."""
_TURNING = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONG_LINES, LONG_CHARACTERS = 40, 4_000


def plain(text: str) -> str:
    """Without characters that turn the direction: for titles of windows and pictures, where nothing isolates."""
    return _TURNING.sub("", text)


def rich(text: str, tickets: Mapping[int, str] = _NONE) -> Markup:
    """A comment or description: ``` fences and `code`, web addresses as links, everything else as it was typed.

    `tickets` holds the ids of those whose number (`#42`) is a link.
    """
    return _Writer(tickets, headings=False).write(text)


def mentioned(texts: Iterable[str], most: int) -> list[int]:
    """The first numbers of tickets, written as `#42`."""
    found: dict[int, None] = {}
    for text in texts:
        for number in _NUMBER.finditer(text):
            found[int(number[1])] = None
            if len(found) == most:
                return list(found)
    return list(found)


def markdown(text: str) -> Markup:
    """The same, with `# headings`."""
    return _Writer(_NONE, headings=True).write(text)


def is_long(text: str) -> bool:
    """Whether it gets a box with a scroll bar."""
    return len(text) > LONG_CHARACTERS or text.count("\n") > LONG_LINES


class _Writer:
    """One text as HTML. Plain strings put together, each escaped: Markup's own ways cost a tenth of a millisecond a
    piece."""

    def __init__(self, tickets: Mapping[int, str], *, headings: bool) -> None:
        self._tickets, self._headings = tickets, headings
        self._left = MOST_MARKS
        self._pieces: list[str] = []

    def write(self, text: str) -> Markup:
        """The whole of it."""
        text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
        if _FENCE in text:
            self._write_blocks(text.split("\n"))
        else:
            self._write_prose(text)
        return Markup("".join(self._pieces))  # noqa: S704 - escaped

    def _may_mark(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def _write_blocks(self, lines: Sequence[str]) -> None:
        last_closing = next((at for at in range(len(lines) - 1, -1, -1) if _closes(lines[at])), -1)
        prose: list[str] = []
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            opening = _OPENING(line) if _FENCE in line else None
            if opening is None or not self._may_mark():
                prose.append(line)
                continue
            self._write_prose("\n".join(prose))
            code, at = _fenced(lines, at, opening[1], last_closing)
            self._pieces.append(f'<pre tabindex="0" dir="ltr"><code>{escape(code)}</code></pre>')
            prose = []
        self._write_prose("\n".join(prose))

    def _write_prose(self, text: str) -> None:
        end = 0
        for heading in _HEADING.finditer(text) if self._headings else ():
            if not self._may_mark():
                break
            self._write_paragraph(text[end : heading.start()])
            self._pieces.append('<h2 dir="auto">')
            self._write_line(heading[1])
            self._pieces.append("</h2>")
            end = heading.end()
        self._write_paragraph(text[end:])

    def _write_paragraph(self, text: str) -> None:
        text = text.strip("\n")
        if text.strip():
            self._pieces.append('<p dir="auto">')
            self._write_line(text)
            self._pieces.append("</p>")

    def _write_line(self, text: str) -> None:
        end = 0
        for start, inside, outside, stop in _codes(text):
            if not self._may_mark():
                break
            self._write_linked(text[end:start])
            self._pieces.append(f"<code>{escape(text[inside:outside])}</code>")
            end = stop
        self._write_linked(text[end:])

    def _write_linked(self, text: str) -> None:
        end = 0
        for start, stop in addresses(text):
            if not self._may_mark():
                break
            shown = escape(text[start:stop])
            self._write_numbered(text[end:start])
            self._pieces.append(f'<a href="{shown}" rel="noopener nofollow ugc" target="_blank">{shown}</a>')
            end = stop
        self._write_numbered(text[end:])

    def _write_numbered(self, text: str) -> None:
        """With links at the numbers of tickets that the reader may see."""
        end = 0
        for number in _NUMBER.finditer(text) if self._tickets else ():
            ticket_id = self._tickets.get(int(number[1]))
            if not ticket_id:
                continue
            if not self._may_mark():
                break
            self._pieces.append(escape(text[end : number.start()]))
            self._pieces.append(f'<a href="/tickets/{escape(ticket_id)}">{number[0]}</a>')
            end = number.end()
        self._pieces.append(escape(text[end:]))


def _closes(line: str) -> bool:
    return _FENCE in line and _is_closing(line) is not None


def _fenced(lines: Sequence[str], at: int, first: str, last_closing: int) -> tuple[str, int]:
    """The code of a fence from the line `at` on, and the line after it. Where a fence ends with a line of its own, a
    line of code may end in the same marks; else such a line is its end."""
    code = [] if _is_language(first) else [first]
    while at < len(lines):
        line = lines[at]
        at += 1
        if _closes(line):
            break
        if line.rstrip().endswith("```") and (code[:1] == [first] or at > last_closing):
            code.append(line.rstrip().rstrip("`"))
            break
        code.append(line)
    return "\n".join(code).rstrip("\n"), at


def _codes(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Where a span of code starts, what is inside it, and where it ends: on its line, after as many marks as before."""
    waiting: dict[int, int] = {}
    runs = list(_TICKS.finditer(text)) if "`" in text else []
    partner = [-1] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        if runs[index][0] == "\n":
            waiting = {}
            continue
        length = len(runs[index][0])
        partner[index] = waiting.get(length, -1)
        waiting[length] = index
    at = 0
    while at < len(runs):
        closing = partner[at]
        if closing > at:
            yield runs[at].start(), runs[at].end(), runs[closing].start(), runs[closing].end()
            at = closing
        at += 1
