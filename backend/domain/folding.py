"""Words as a search compares them: one spelling for what people take to be the same, parts of texts without spaces.

Texts and questions are folded by the same rules, on every store: without case and accents, compatibility forms (full
width, ligatures) as what they stand for, ä, ae and a as one, likewise ö, oe, o and ü, ue, u, and ß as ss.
Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese have no spaces that a search could rely on: a run of them is
kept as its overlapping pairs of characters and its last one (印刷機: 印刷 刷機 機): any part is a row of pairs.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from backend.domain.text import compatible

VERSION = f"2-{unicodedata.unidata_version}"
"""Changes where the same text may be folded otherwise; what was indexed with another is to be indexed anew."""

_RUN = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb\uffa0-\uffdc"  # Korean
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
    "\uf900-\ufad9\U00020000-\U000323af"  # Chinese
)
# Marks that belong to the letter before them; those of other alphabets than these mean nothing to a search.
_BLOCKS = ((0x0300, 0x2000), (0x20D0, 0x2100), (0x2CEF, 0x2E00), (0xA66F, 0xAC00), (0xFB1E, 0xFB1F), (0xFE00, 0xFE30))
_UNSEEN = "\u00ad\u034f\u200c\u200d\u2060\ufeff"
_of_run = re.compile(f"[{_RUN}]").match
_MARKS = _UNSEEN + "".join(
    mark
    for mark in (chr(code) for block in _BLOCKS for code in range(*block))
    if unicodedata.category(mark)[0] == "M" and not _of_run(mark)
)
_LETTERS = rf"[^\W_{_RUN}]"
_TOKEN = re.compile(rf"([{_RUN}]+)|({_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*)")
_TYPED = re.compile(rf"[\w{_MARKS}{_RUN}]+")
_TWO_OF_RUN = re.compile(f"[{_RUN}]{{2}}").fullmatch
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")
_DROPPED = (
    (0x0300, 0x0370), (0x0483, 0x0488), (0x0591, 0x05C8), (0x0610, 0x061B), (0x064B, 0x0660), (0x0670, 0x0671),
    (0x06D6, 0x06EE), (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0x20D0, 0x2100), (0xFE00, 0xFE10), (0xFE20, 0xFE30),
)  # fmt: skip
_LETTER = str.maketrans("łđøıħŧðŋ", "ldoihtdn") | {ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th", ord("ـ"): ""}
_WHOLE = "йї"  # letters of their own, not accented ones
_MOST_KEPT = 50_000
# One character may stand for 18 (U+FDFA): a text is read as far as it becomes twice as long, or _ROOM longer.
_ROOM = 1_000
_GROWING_BLOCKS = (
    (0xBC, 0xBF),
    (0x0385, 0x0386),
    (0x0F00, 0x1000),
    (0x1F00, 0x3400),
    (0xFB00, 0x10000),
    (0x1D100, 0x1D200),
    (0x1F100, 0x1F300),
)
_GROWTH = {
    chr(code): grown - 1
    for block in _GROWING_BLOCKS
    for code in range(*block)
    if (grown := len(unicodedata.normalize("NFKC", chr(code)))) > 2
}
_growing = re.compile(f"[{''.join(_GROWTH)}]")

# ae, oe and ue as a, o and u, unless the u belongs to a vowel before it (Dauer, neue) or to a q, and but for words
# that then would be other words: of three letters (toe, PoE, due), and does.
_SPELLED_OUT = re.compile(
    r"([ao]|(?<![aeouq])u)e++(?!(?<=(?<![^\W_])[^\W_][aou]e)(?![^\W_])|(?<=(?<![^\W_])doe)s(?![^\W_]))"
)


class _Folding(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        found = _character(chr(code))
        if len(self) < _MOST_KEPT:
            self[code] = found
        return found


def _character(character: str) -> str:
    if character in _UNSEEN:
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    lower = unicodedata.normalize("NFKC", character).casefold()
    if lower in _WHOLE:
        return lower
    apart = unicodedata.normalize("NFKD", lower).translate(_LETTER)
    plain = "".join(c for c in apart if not any(first <= ord(c) < last for first, last in _DROPPED))
    return unicodedata.normalize("NFC", plain)


_FOLDING = _Folding()


def _folded(text: str) -> str:
    """The characters folded; words are still spelled out where somebody spelled them out."""
    return compatible(_bounded(text)).translate(_FOLDING)


def _bounded(text: str) -> str:
    left = len(text) + _ROOM
    for found in _growing.finditer(text):
        left -= _GROWTH[found[0]]
        if left < 0:
            return text[: found.start()]
    return text


def _one_spelling(text: str) -> str:
    return _SPELLED_OUT.sub(r"\1", text)


def for_index(text: str) -> str:
    """The text's words for an index that splits at whatever is in ASCII and neither a letter nor a digit."""
    return _one_spelling(text.lower()) if text.isascii() else " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """The words, in order; of a run without spaces its pairs and its last character."""
    if text.isascii():
        return _ASCII_WORD.findall(_one_spelling(text.lower()))
    words: list[str] = []
    for run, word in _TOKEN.findall(_folded(text)):
        words += _pairs(run) if run else (word,)
    return _one_spelling(" ".join(words)).split(" ") if words else words


def is_pair(word: str) -> bool:
    """Whether it is a part of a run without spaces."""
    return len(word) == 2 and not word.isascii() and bool(_TWO_OF_RUN(word))


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run))]


def typed_words(text: str) -> tuple[str, ...]:
    """The words as they were typed but for compatibility forms; runs are left whole."""
    return tuple(_TYPED.findall(compatible(text)))


def looked_for(words: Sequence[str], prefix: bool) -> tuple[tuple[str, ...], bool]:
    """The words of a question as they stand next to each other in `words_of`, and whether the last may go on.

    A text may go on after a part of a run, which therefore ends with a pair; one character begins one.
    """
    text = " ".join(words)
    if text.isascii():
        return tuple(words_of(text)), prefix
    pieces = _TOKEN.findall(_folded(text))
    found = [one for run, word in pieces for one in (_pairs(run) if run else (word,))]
    last = pieces[-1][0] if pieces else ""
    if len(last) > 1:
        found.pop()
    return tuple(_one_spelling(" ".join(found)).split()), prefix or len(last) == 1


def tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """The words of `words_of` with where they stand in the text as it is: start and end."""
    if text.isascii():
        for found in _ASCII_WORD.finditer(text):
            yield _one_spelling(found[0].lower()), found.start(), found.end()
        return
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if found[1] and len(_folded(found[1])) == end - start:
            for at, pair in enumerate(_pairs(_folded(found[1])), start):
                yield pair, at, min(at + 2, end)
        else:
            for word in words_of(found[0]):
                yield word, start, end
