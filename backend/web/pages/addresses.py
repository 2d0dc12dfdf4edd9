"""Web addresses in a sentence: where each begins, and where the sentence goes on."""

import re
import unicodedata
from collections.abc import Iterator

_BEGINNING = re.compile(r"https?://(?=[^\W_]|\[)", re.IGNORECASE)
_OPENERS = {")": "(", "]": "[", "}": "{"}
# What no address has unless it is written as `%…`, and marks that are a part of one only between two letters.
_NEVER = frozenset('<>"`\\|^')
_BETWEEN_LETTERS = frozenset("'\u2019\u00b7\u200c\u200d")
_FOREIGN_STOPS = frozenset("PSZC")
_JOINING = frozenset({"Pd", "Pc"})
# What ends a sentence or an emphasis, not an address.
_AFTER = frozenset(".,;:!?*'\u2019\u00b7\u200c\u200d([{")
_POSSESSIVE = frozenset({"'s", "\u2019s"})
_WRAPPERS = "*_~'"
_GOES_ON = "/([{%&=#-+@$"


def addresses(text: str) -> Iterator[tuple[int, int]]:
    """Where each web address begins and ends, without the marks of the sentence around it. Takes time in proportion."""
    at = 0
    while begun := _BEGINNING.search(text, at):
        end = _end(text, begun.start(), begun.end())
        if end > begun.end():
            yield begun.start(), end
        at = max(end, begun.end())


def _end(text: str, start: int, at: int) -> int:
    """Where the address stops that begins at `start` and whose `https://` ends at `at`."""
    beginning, wrapper = at, _wrapper(text, start)
    opened: list[str] = []
    while at < len(text):
        sign = text[at]
        if _stops(text, at) or (wrapper and _closes(text, at, wrapper)):
            break
        if sign in _OPENERS:
            if not opened or opened.pop() != _OPENERS[sign]:
                break  # closes what was opened before the address
        elif sign in "([{":
            opened.append(sign)
        at += 1
    while at > beginning and (text[at - 1] in _AFTER or text[at - 2 : at] in _POSSESSIVE):
        at -= 1
    return at


def _stops(text: str, at: int) -> bool:
    sign = text[at]
    if sign in _BETWEEN_LETTERS:
        return not (text[at - 1].isalnum() and text[at + 1 : at + 2].isalnum())
    if sign < "\x80":
        return sign <= " " or sign == "\x7f" or sign in _NEVER
    kind = unicodedata.category(sign)
    return kind[0] in _FOREIGN_STOPS and kind not in _JOINING


def _wrapper(text: str, start: int) -> str:
    """The marks of emphasis right before an address: the same ones end it."""
    before = text[start - 1 : start]
    if not before or before not in _WRAPPERS:
        return ""
    first = start - 1
    while first > 0 and text[first - 1] == before and start - first < 3:
        first -= 1
    return text[first:start]


def _closes(text: str, at: int, wrapper: str) -> bool:
    after = text[at + len(wrapper) : at + len(wrapper) + 1]
    return text.startswith(wrapper, at) and not (after.isalnum() or (len(wrapper) == 1 and after and after in _GOES_ON))
