"""Cleaning of what people type or paste: what nobody meant to send goes, the rest is NFC. And how names compare.

A NUL and half a surrogate pair are left in: no text has them by accident, and whoever takes the text refuses them.
"""

import re
import unicodedata
from functools import cache, lru_cache

# What a terminal is told rather than shown: a colour (CSI), a title or link (OSC and its kin), a character set.
# What has an end is dropped whole only where the end stands on the same line and near: else the words are somebody's.
# C1 characters are mostly letters and quotes in a wrong encoding (\x9c is œ): they begin little, and end less.
_END = r"(?:\x9c|\x1b\\)"
_TERMINAL = (
    r"\x1b\[(?:[0-?]++[ -/]?|!)?[@-~]|\x9b[0-?]++[@-~]"
    rf"|\x1b\][^\n\x07\x1b\x9c]{{0,2000}}+(?:\x07|{_END})|\x1b[PX^_][^\n\x1b\x9c]{{0,2000}}+{_END}"
    rf"|\x9d[0-9]++;[^\n\x07\x1b\x9c\x9d]{{0,2000}}+(?:\x07|\x1b\\)|\x9d8;[!-:<-~]{{0,200}}+;[!-~]{{0,2000}}+\x9c"
    r"|\x1b[()*+][0-2AB]|\x1b%[@G]|\x1b\#[3-8]|\x1b[78=>]"
)
# The flags of England, Scotland and the like are spelled in invisible letters, which are junk anywhere else.
_FLAG = "(\U0001f3f4[\U000e0020-\U000e007e]{1,16}\U000e007f)"
_BEGIN = "\x1b\x9b\x9d"
_JUNK = (
    "[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9a\x9c\x9e\x9f"  # control characters that break no line
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # soft hyphen, directions, no width at all
    "\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_hidden = re.compile(f"{_TERMINAL}|{_FLAG}|{_JUNK}++|[{_BEGIN}]")
_has_junk = re.compile(f"{_JUNK}|[{_BEGIN}]").search
_breaks = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_blank_lines = re.compile(r"(?:[^\S\n]*+\n)++")
_is_seen = re.compile("[^\\s\u034f\u115f\u1160\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]").search
_MOST_MARKS = 30
_JOINER = "\u034f"


def clean_line(text: str) -> str:
    """A title, name or tag on one line: no control or direction characters, each run of white space one space.

    Empty where nothing is left that can be seen.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return _composed(" ".join(_visible(text).split()))


def clean_text(text: str) -> str:
    """A text of several lines: no control or direction characters, line breaks are line feeds, none at either end.

    Tabs stay, and so does what the first line is indented by. Empty where nothing is left that can be seen.
    """
    text = _visible(text).rstrip()
    leading = _blank_lines.match(text)
    return _composed(text[leading.end() :] if leading else text)


def least_length(cleaned: str) -> int:
    """How many characters a cleaned text has in the shortest form that it may have been typed in: NFC takes 85
    characters apart and never puts them together, and joiners part long runs of marks."""
    return len(_taken_apart().sub("x", cleaned.replace(_JOINER, "")))


@cache
def _taken_apart() -> re.Pattern[str]:
    composed = (unicodedata.normalize("NFC", chr(code)) for code in range(0x300, 0x1E000) if code >> 11 != 0x1B)
    return re.compile("|".join(sorted({text for text in composed if len(text) > 1}, key=len, reverse=True)))


@lru_cache(maxsize=8_192)
def folded(name: str) -> str:
    """A name as it is compared: neither case nor width, the way accents are put together, or spaces tell two apart."""
    for _ in range(3):  # what one step makes, the next may fold further
        name = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return name


def _visible(text: str) -> str:
    """The text with line feeds for breaks of any kind, without what is not seen."""
    text = _breaks.sub("\n", text)
    if _has_junk(text):
        text = "".join(filter(None, _hidden.split(text)))  # a flag is a piece of its own, and stays
    return text if _is_seen(text) else ""


def _composed(text: str) -> str:
    """The text in NFC. Long runs of marks are parted (as UAX 15 has it): ordering one is quadratic."""
    if text.isascii():
        return text
    return _parted(unicodedata.normalize("NFC", _parted(text)))  # again, since NFC takes some marks apart


def compatible(text: str) -> str:
    """The text in NFKC: full width, ligatures and the like as what they stand for."""
    return unicodedata.normalize("NFKC", _parted(text))


def _parted(text: str) -> str:
    if any(map(unicodedata.combining, text[::_MOST_MARKS])):  # a longer run shows there
        return _runs(max(text)).sub(lambda run: f"{run[0]}{_JOINER}", text)
    return text


def _runs(last: str) -> re.Pattern[str]:
    """See `_runs_up_to`; the pattern for texts of the first plane is ten times as fast."""
    return _runs_up_to(0x10000 if last < "\U00010000" else 0x1F000)


@cache
def _runs_up_to(end: int) -> re.Pattern[str]:
    """As many characters that combine with the one before as may stand together, where more follow."""
    marks = "".join(c for c in map(chr, range(0x300, end)) if unicodedata.combining(c))
    return re.compile(f"[{marks}]{{{_MOST_MARKS}}}(?=[{marks}])")
