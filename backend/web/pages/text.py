"""People's own text as HTML: escaped, with line breaks, links and code, and nothing that reaches out of its place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from markupsafe import Markup, escape

from backend.web.pages.addresses import addresses

# A fence may hold its first line itself; one word there is the name of a language.
_OPENING = re.compile(r"[ \t]*```+[ \t]*([^`\n]*)").fullmatch
_is_closing = re.compile(r"[ \t]*```+[ \t]*").fullmatch
_is_language = re.compile(r"[\w+#.\-]{0,40}[ \t]*").fullmatch
_TICKS = re.compile(r"`+|\n")
_NUMBER = re.compile(r"(?<![\w&#/])#([1-9][0-9]{0,8})(?![\w#])", re.ASCII)
_NONE: Mapping[int, str] = {}
_HEADING = re.compile(r"^#{1,4} +(.+)$", re.MULTILINE)
# Characters that turn the direction of the text around them; where no element isolates them, they go.
_TURNING = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONG_LINES, LONG_CHARACTERS = 40, 4_000


def plain(text: str) -> str:
    """Without characters that turn the direction: for titles of windows and pictures, where nothing isolates."""
    return _TURNING.sub("", text)


def rich(text: str, tickets: Mapping[int, str] = _NONE) -> Markup:
    """A comment or description: ``` fences and `code`, web addresses as links, everything else as it was typed.

    `tickets` holds the ids of those whose number (`#42`) is a link.
    """
    return Markup("").join(_blocks(text, tickets, headings=False))


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
    return Markup("").join(_blocks(text, _NONE, headings=True))


def is_long(text: str) -> bool:
    """Whether it gets a box with a scroll bar."""
    return len(text) > LONG_CHARACTERS or text.count("\n") > LONG_LINES


def _blocks(text: str, tickets: Mapping[int, str], *, headings: bool) -> Iterator[Markup]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    last_closing = max((index for index, line in enumerate(lines) if _is_closing(line)), default=-1)
    prose: list[str] = []
    at = 0
    while at < len(lines):
        opening = _OPENING(lines[at])
        at += 1
        if opening is None:
            prose.append(lines[at - 1])
            continue
        yield from _prose("\n".join(prose), tickets, headings=headings)
        code, at = _fenced(lines, at, opening[1], last_closing)
        yield Markup(f'<pre tabindex="0" dir="ltr"><code>{escape(code)}</code></pre>')  # noqa: S704 - escaped
        prose = []
    yield from _prose("\n".join(prose), tickets, headings=headings)


def _fenced(lines: Sequence[str], at: int, first: str, last_closing: int) -> tuple[str, int]:
    """The code of a fence from the line `at` on, and the line after it. Where a fence ends with a line of its own, a
    line of code may end in the same marks; else such a line is its end."""
    code = [] if _is_language(first) else [first]
    while at < len(lines):
        line = lines[at]
        at += 1
        if _is_closing(line):
            break
        if line.rstrip().endswith("```") and (code[:1] == [first] or at > last_closing):
            code.append(line.rstrip().rstrip("`"))
            break
        code.append(line)
    return "\n".join(code).rstrip("\n"), at


def _prose(text: str, tickets: Mapping[int, str], *, headings: bool) -> Iterator[Markup]:
    end = 0
    for heading in _HEADING.finditer(text) if headings else ():
        yield _paragraphs(text[end : heading.start()], tickets)
        yield Markup(f'<h2 dir="auto">{_inline(heading[1], tickets)}</h2>')  # noqa: S704 - escaped
        end = heading.end()
    yield _paragraphs(text[end:], tickets)


def _paragraphs(text: str, tickets: Mapping[int, str]) -> Markup:
    text = text.strip("\n")
    return Markup(f'<p dir="auto">{_inline(text, tickets)}</p>') if text.strip() else Markup("")  # noqa: S704 - escaped


def _inline(text: str, tickets: Mapping[int, str]) -> Markup:
    """Plain strings put together, each escaped: Markup's own ways cost a tenth of a millisecond a piece."""
    pieces = []
    end = 0
    for start, inside, outside, stop in _codes(text):
        pieces += [_linked(text[end:start], tickets), f"<code>{escape(text[inside:outside])}</code>"]
        end = stop
    pieces.append(_linked(text[end:], tickets))
    return Markup("".join(pieces))  # noqa: S704 - escaped


def _codes(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Where a span of code starts, what is inside it, and where it ends: on its line, after as many marks as before."""
    waiting: dict[int, int] = {}
    runs = list(_TICKS.finditer(text))
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


def _linked(text: str, tickets: Mapping[int, str]) -> str:
    pieces = []
    end = 0
    for start, stop in addresses(text):
        shown = escape(text[start:stop])
        pieces += [
            _numbered(text[end:start], tickets),
            f'<a href="{shown}" rel="noopener nofollow ugc" target="_blank">{shown}</a>',
        ]
        end = stop
    return "".join([*pieces, _numbered(text[end:], tickets)])


def _numbered(text: str, tickets: Mapping[int, str]) -> str:
    """With links at the numbers of tickets that the reader may see."""
    pieces = []
    end = 0
    for number in _NUMBER.finditer(text) if tickets else ():
        ticket_id = tickets.get(int(number[1]))
        if ticket_id:
            pieces += [escape(text[end : number.start()]), f'<a href="/tickets/{escape(ticket_id)}">{number[0]}</a>']
            end = number.end()
    return "".join([*pieces, escape(text[end:])])
