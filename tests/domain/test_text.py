"""What cleaning takes away, what it never does, and that it takes no time."""

import sys
import time
import unicodedata
from collections.abc import Callable
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from backend.domain.text import clean_line, clean_text
from backend.domain.values import LONGEST_PROSE, Cleaned, Prose

FORBIDDEN = {
    *map(chr, [*range(1, 9), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0x200B, 0xAD]),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
}
PIECES = st.sampled_from(
    [
        *FORBIDDEN,
        *[
            "\x1b[",
            "\x1b[1;31m",
            "\x1b[0m",
            "\x1b[38;5;1",
            "\x1b]0;t\x07",
            "\x1b]8;;u\x1b\\",
            "\x9b31m",
            "\x1b(B",
            "\x1b",
        ],
        *[
            "\r\n",
            "\n",
            "\t",
            " ",
            "\u3000",
            "e\u0301",
            "\u0344",
            "\ufb1d",
            "\u212b",
            "\u0958",
            "x",
            "31m",
            ";",
            "]",
            "[m",
        ],
        *["\u200d", "\u200c", "👩\u200d💻", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U000e0041", "\U0001f3f4"],
        *["\u0301\u0323" * 20, "\U0001d165\U0001d167" * 20, "\u0327" * 29, "한", "\u1100\u1161", "ﬁ", "א", "ไทย"],
    ]
)
TEXTS = st.text(max_size=60) | st.lists(PIECES, max_size=12).map("".join)
CLEANERS = pytest.mark.parametrize("clean", [clean_line, clean_text])


@CLEANERS
@given(text=TEXTS)
def test_what_is_clean_stays_as_it_is(clean: Callable[[str], str], text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned.isascii() or unicodedata.is_normalized("NFC", cleaned)
    assert FORBIDDEN.isdisjoint(cleaned)


@given(TEXTS)
def test_a_line_is_one_line_with_single_spaces(text: str) -> None:
    assert clean_line(text) == " ".join(clean_line(text).split())


@given(TEXTS)
def test_a_text_begins_and_ends_with_something(text: str) -> None:
    lines = clean_text(text).split("\n")
    assert lines == [""] or (lines[0].strip() and lines[-1].strip())


@CLEANERS
@given(text=st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=60))
def test_what_can_be_seen_is_kept(clean: Callable[[str], str], text: str) -> None:
    fillers = dict.fromkeys([0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0])
    if text.translate(fillers):
        assert clean(text) == unicodedata.normalize("NFC", text)


@CLEANERS
@given(
    words=st.lists(st.sampled_from(["/var/log", "42", "a@example.org", "Ünïcode", "العربية"]), min_size=1),
    data=st.data(),
)
def test_junk_between_words_changes_nothing(clean: Callable[[str], str], words: list[str], data: st.DataObject) -> None:
    invisible = sorted(FORBIDDEN - set("\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u2028\u2029\x1b\x9b\x9d"))
    junk = st.sampled_from([*invisible, "\x1b[31m", "\x1b[0m", "\x1b]8;;https://x\x07", "\x1b[K"])
    parts = [data.draw(junk) + word + data.draw(junk) for word in words]
    assert clean(" ".join(parts)) == " ".join(words)
    assert clean(unicodedata.normalize("NFD", " ".join(parts))) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "line", "prose"),
    [
        ("a\tb", "a b", "a\tb"),
        ("  a \r\n\t b\r", "a b", "  a \n\t b"),
        ("\r\n  code\n", "code", "  code"),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", "a b c d e f", "a\nb\nc\nd\ne\nf"),
        ("\x1b[1;31mERROR\x1b[0m disk\x1b[K", "ERROR disk", "ERROR disk"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x07\x1b(B", "link", "link"),
        ("\x9b31mred\x9bX", "redX", "redX"),
        ("\x1b]0;never ended", "]0;never ended", "]0;never ended"),
        ("before \x1bPmiddle important words\nline2\x07 after", "before Pmiddle important words line2 after",
         "before Pmiddle important words\nline2 after"),
        ("a\x1b]0;title\x07b\x1bP1$r0m\x1b\\c\x1b_x\x9cd", "abcd", "abcd"),
        ("a\x1b_not its end\x07 b", "a_not its end b", "a_not its end b"),
        ("x\x9d8;hello œ\x9c end", "x8;hello œ end", "x8;hello œ end"),
        ("\x9d8;;https://x\x9clink\x9d8;;\x9c \x9d0;title\x07", "link", "link"),
        ("\x9b8 hours \x1b[ (see above)\x1b[2 q\x1b[!p", "8 hours [ (see above)", "8 hours [ (see above)"),
        ("\u202aC:\\Users\\a.txt\u202c", "C:\\Users\\a.txt", "C:\\Users\\a.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe", "invoicefdp.exe"),
        ("\ufeffTitle\u200b", "Title", "Title"),
        ("Cafe\u0301", "Café", "Café"),
        ("نمی\u200cخواهم", "نمی\u200cخواهم", "نمی\u200cخواهم"),
        ("क्\u200dष 👩\u200d💻", "क्\u200dष 👩\u200d💻", "क्\u200dष 👩\u200d💻"),
        ("🏴\U000e0067\U000e0062\U000e007f\U000e0041", "🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("\u200d\u00a0\ufe0f", "", ""),
        ("a\0b\ud800", "a\0b\ud800", "a\0b\ud800"),
    ],
)  # fmt: skip
def test_examples(text: str, line: str, prose: str) -> None:
    assert (clean_line(text), clean_text(text)) == (line, prose)


@CLEANERS
@given(
    introducer=st.sampled_from(["\x1b]", "\x1b]0;", "\x1bP", "\x1bX", "\x1b^", "\x1b_", "\x9d", "\x9d1;", "\x9d8;"]),
    end=st.sampled_from(["", "\n\x07", "\r\x1b\\", "\u2028\x9c", f"{'far ' * 501}\x1b\\", f"{'far ' * 501}\x07"]),
    words=st.lists(st.sampled_from(["words", "œuvre", "42;", "Ünïcode"]), min_size=1, max_size=4),
)
def test_no_word_is_lost_where_nothing_ends_on_its_line(
    clean: Callable[[str], str], introducer: str, end: str, words: list[str]
) -> None:
    cleaned = clean(f"before{introducer} {' '.join(words)} {end} after")
    assert cleaned.startswith("before") and cleaned.endswith("after")
    assert " ".join(words) in cleaned
    assert cleaned.count("far") == end.count("far")


@pytest.mark.parametrize(
    "piece",
    ["x", "é ", "漢字", "\x1b", "\x1b[1", "\x1b]", "\x1bP", "\x9d1;", "\x9d8;", "\x1b[" + "1;" * 40, "\u0301\u0323", "\U0001d165\U0001d167",
     "🏴\U000e0061", " ", "\r", " \n", "\t\u3000"],
)  # fmt: skip
def test_time_grows_with_length_alone(piece: str) -> None:
    def seconds(characters: int) -> float:
        text = f"x{piece * (characters // len(piece))}x"
        spans = []
        for _ in range(2):
            began = time.process_time()
            clean_line(text)
            clean_text(text)
            spans.append(time.process_time() - began)
        return min(spans)

    assert seconds(40_000) < 40 * max(seconds(4_000), 0.0005)


def test_every_mark_that_is_ordered_is_known() -> None:
    """The longest runs are looked for up to U+1F000 alone."""
    assert not any(map(unicodedata.combining, map(chr, range(0x1F000, sys.maxunicode + 1))))


def test_takes_a_moment_for_whatever_is_hidden() -> None:
    for unit in ("\u202e", "\u202ea", "\x1b[0m", "\x1b", "\U0001f3f4\U000e0067\U000e007f", "\x9d8;", "\x1b]0;a"):
        text = unit * (100_000 // len(unit))
        started = time.process_time()
        assert clean_text(text + "b").endswith("b")
        assert time.process_time() - started < 1, unit
    assert clean_text("a\u202e\u202e\x1b[0mb\x1bc\u200b\x9b1md") == "abcd"


LETTERS = [
    "\ufb2c",
    "\u0958",
    "\u0344",
    "\U0001d160",
    "\u212b",
    "e\u0301",
    "\ud55c",
    "\u1112\u1161\u11ab",
    "x",
    "\u0f43",
]


@given(st.lists(st.sampled_from(LETTERS) | st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_a_text_that_fits_as_typed_or_as_kept_is_taken_and_may_be_sent_back(pieces: list[str]) -> None:
    typed = "".join(pieces)
    for form in ("NFC", "NFD", None):
        text = unicodedata.normalize(form, typed) if form else typed
        kept = clean_text(text)
        for longest in {len(text), len(kept), len(unicodedata.normalize("NFC", kept))}:
            adapter = TypeAdapter(Annotated[str, Cleaned(clean_text, longest)])
            assert adapter.validate_python(text) == kept


@pytest.mark.parametrize(
    "letter", ["\ufb2c", "\u0958", "\U0001d160", "a\u0301", "\u1112\u1161\u11ab", "a", "\u0301" * 40]
)
def test_lengths_are_judged_by_the_shorter_form(letter: str) -> None:
    times = LONGEST_PROSE // len(letter) if "\u0301" not in letter[1:] else LONGEST_PROSE // 40
    prose: TypeAdapter[str] = TypeAdapter(Prose)
    kept = prose.validate_python(letter * times)
    assert prose.validate_python(kept) == kept, "what was read may be sent back"
    with pytest.raises(ValidationError, match="at most 100000"):
        prose.validate_python(letter * (LONGEST_PROSE + 1))
    assert prose.json_schema()["maxLength"] == LONGEST_PROSE
