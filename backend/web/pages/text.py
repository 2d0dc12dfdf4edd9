"""People's own text as HTML: escaped, with line breaks, links and code, and nothing that reaches out of its place."""

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,4} +(.+)$", re.MULTILINE)
# What may follow a web address in a sentence is not a part of it.
_LINK = re.compile(r"https?://[^\s<>\"'`\u202a-\u202e\u2066-\u2069]+", re.IGNORECASE)
_AFTER = ".,;:!?)]}'\""
# Characters that turn the direction of the text around them; where no element isolates them, they go.
_TURNING = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LONG_LINES, LONG_CHARACTERS = 40, 4_000


def plain(text: str) -> str:
    """Without characters that turn the direction: for titles of windows and pictures, where nothing isolates."""
    return _TURNING.sub("", text)


def rich(text: str) -> Markup:
    """A comment or description: ``` fences and `code`, web addresses as links, everything else as it was typed."""
    return Markup("").join(_blocks(text, headings=False))


def markdown(text: str) -> Markup:
    """The same, with `# headings`."""
    return Markup("").join(_blocks(text, headings=True))


def being_typed(query: str) -> str:
    """A search whose last word may still be being typed: it matches what begins with it."""
    last = query.split()[-1] if query.split() else ""
    begun = len(last) > 1 and last.isalnum() and query[-1:].isalnum() and query.count('"') % 2 == 0
    return f"{query}*" if begun else query


def is_long(text: str) -> bool:
    """Whether it gets a box with a scroll bar."""
    return len(text) > LONG_CHARACTERS or text.count("\n") > LONG_LINES


def _blocks(text: str, *, headings: bool) -> Iterator[Markup]:
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    end = 0
    for fence in _FENCE.finditer(text):
        yield from _prose(text[end : fence.start()], headings=headings)
        yield Markup('<pre tabindex="0" dir="ltr"><code>{}</code></pre>').format(fence[1].rstrip("\n"))
        end = fence.end()
    yield from _prose(text[end:], headings=headings)


def _prose(text: str, *, headings: bool) -> Iterator[Markup]:
    end = 0
    for heading in _HEADING.finditer(text) if headings else ():
        yield _paragraphs(text[end : heading.start()])
        yield Markup('<h2 dir="auto">{}</h2>').format(_inline(heading[1]))
        end = heading.end()
    yield _paragraphs(text[end:])


def _paragraphs(text: str) -> Markup:
    text = text.strip("\n")
    return Markup('<p dir="auto">{}</p>').format(_inline(text)) if text.strip() else Markup("")


def _inline(text: str) -> Markup:
    pieces = []
    end = 0
    for code in _CODE.finditer(text):
        pieces += [_linked(text[end : code.start()]), Markup("<code>{}</code>").format(code[1])]
        end = code.end()
    return Markup("").join([*pieces, _linked(text[end:])])


def _linked(text: str) -> Markup:
    pieces = []
    end = 0
    for link in _LINK.finditer(text):
        address = _trimmed(link[0])
        if len(address) <= len("https://"):
            continue
        pieces += [
            escape(text[end : link.start()]),
            Markup('<a href="{0}" rel="noopener nofollow ugc" target="_blank">{0}</a>').format(address),
        ]
        end = link.start() + len(address)
    return Markup("").join([*pieces, escape(text[end:])])


def _trimmed(address: str) -> str:
    """Without the marks of the sentence around it; a closing bracket stays where it was opened inside."""
    end = len(address)
    unopened = address.count(")") - address.count("(")
    while end and address[end - 1] in _AFTER:
        if address[end - 1] == ")":
            if unopened <= 0:
                break
            unopened -= 1
        end -= 1
    return address[:end]
