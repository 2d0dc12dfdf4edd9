"""Words as a search compares them: the same whoever spells them, and parts of texts without spaces."""

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import folding
from backend.domain.folding import for_index, looked_for, tokens, typed_words, words_of

RUNS = st.text(
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
    | st.characters(min_codepoint=0x3041, max_codepoint=0x3096)
    | st.characters(min_codepoint=0x30A1, max_codepoint=0x30FA)
    | st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
    | st.sampled_from("กขคงจฉชซญดตถทธนบปผพฟมยรลวสหอฮะัาิีึืุู่้์เแโไກຂຄງຈຊຍດຕຖທນບកខគងចឆជញដមရသတကခဂ"),
    min_size=2,
    max_size=12,
)


def finds(stored: str, query: str, prefix: bool = False) -> bool:
    words, goes_on = looked_for(typed_words(query), prefix)
    text = words_of(stored)
    return bool(words) and any(
        tuple(text[at : at + len(words) - 1]) == words[:-1]
        and (text[at + len(words) - 1].startswith(words[-1]) if goes_on else text[at + len(words) - 1] == words[-1])
        for at in range(len(text) - len(words) + 1)
    )


@pytest.mark.parametrize(
    "spellings",
    [
        "Müller Mueller Muller MÜLLER Mu\u0308ller mueller",
        "Straße Strasse STRASSE STRAẞE straße",
        "Größe Groesse Grosse",
        "Tür Tuer Tur",
        "Öl Oel ol",
        "Menü Menue menu",
        "Łódź Lodz LODZ",
        "Đorđe Dorde",
        "Søren Soren Soeren Sören",
        "Ærø AEro aero",
        "œuvre oeuvre",
        "ırmak irmak IRMAK İrmak",
        "ＶＰＮ vpn ⓥⓟⓝ",
        "ﬁle file",
        "naïve naive",
        "réseau RÉSEAU reseau",
        "Ελλάδα ΕΛΛΆΔΑ ελλαδα",
        "ёлка елка",
        "ﾌﾟﾘﾝﾀ プリンタ",
        "٤٢ 42",
        "Dauer DAUER",
        "neue Neue",
        "Bäuerin Baeuerin Bauerin",
        "می\u200cخواهم میخواهم",
    ],
)
def test_every_spelling_finds_every_other(spellings: str) -> None:
    for stored in spellings.split():
        for query in spellings.split():
            assert finds(f"a {stored} b", query), (stored, query)


@pytest.mark.parametrize(
    ("stored", "query"),
    [
        ("toe", "to"),
        ("PoE", "po"),
        ("does", "dos"),
        ("due", "du"),
        ("neue", "neu"),
        ("мой", "мои"),
        ("printer", "print"),
        ("バグ", "ハク"),
        ("印刷", "刷印"),
        ("印 刷", "印刷"),
        ("印刷機械", "印機"),
    ],
)
def test_what_is_another_word_is_not_found(stored: str, query: str) -> None:
    assert not finds(stored, query)


@pytest.mark.parametrize(
    ("stored", "query"),
    [
        ("プリンターで印刷できません", "印刷"),
        ("无法连接到打印机", "打印机"),
        ("프린터가 안 돼요", "린터"),
        ("프린터가 안 돼요", "프린터가 안"),
        ("ไม่สามารถพิมพ์ได้", "พิมพ์"),
        ("ບໍ່ສາມາດພິມໄດ້", "ພິມ"),
        ("មិនអាចបោះពុម្ព", "បោះពុម្ព"),
        ("ပုံနှိပ်၍မရပါ", "ပုံနှိပ်"),
        ("VPN接続エラー", "vpn接続"),
        ("VPN接続エラー", "続エラ"),
        ("第3四半期の報告", "四半期"),
        ("水", "水"),
        ("洪水", "水"),
        ("水道", "水"),
    ],
)
def test_parts_of_texts_without_spaces_are_found(stored: str, query: str) -> None:
    assert finds(stored, query)


@given(RUNS, st.data())
def test_any_part_of_a_run_finds_it(run: str, data: st.DataObject) -> None:
    run = unicodedata.normalize("NFC", run)
    start = data.draw(st.integers(0, max(0, len(run) - 2)))
    end = data.draw(st.integers(min(len(run), start + 2), len(run)))
    assert finds(f"x {run} y", run[start:end])
    assert finds(f"x{run}y", run[start:end])


@given(st.text(max_size=60))
def test_any_word_of_a_text_finds_it(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    for word in typed_words(text):
        if words_of(word):
            assert finds(text, word), word


@given(st.text(max_size=60) | st.text("aeouqsxdt _-", max_size=20) | RUNS)
def test_folding_twice_is_folding_once(text: str) -> None:
    words = words_of(text)
    plain = [word for word in words if not finds("印刷" + word, word) or word.isascii()]
    assert [one for word in plain for one in words_of(word)] == plain
    in_index = for_index(text)
    assert "".join(c if not c.isascii() or c.isalnum() else " " for c in in_index).split() == words


@given(st.text(max_size=60) | RUNS)
def test_says_where_its_words_stand(text: str) -> None:
    last = 0
    for _, start, end in tokens(text):
        assert last <= start < end <= len(text)
        last = start
    if text.isascii():
        assert [word for word, _, _ in tokens(text)] == words_of(text)


@pytest.mark.parametrize(
    "unit", ["ue", "ä", "\u0323\u0301", "\u0e49\u0e48", "印", "a\u0301\u200d", "\U0001d165\U0001d167"]
)
def test_time_grows_with_length_alone(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        for_index(text)
        return time.process_time() - started

    short = min(seconds(5_000) for _ in range(3))
    assert min(seconds(50_000) for _ in range(2)) < 60 * max(short, 0.001)


def test_every_character_that_grows_is_known() -> None:
    grown = {c: len(unicodedata.normalize("NFKC", c)) - 1 for c in map(chr, range(sys.maxunicode + 1))}
    assert {c: growth for c, growth in grown.items() if growth > 1} == folding._GROWTH


@pytest.mark.parametrize(
    "unit", ["\ufdfa", "\ufdfa ", "\u3316", "\u2152 ", "\u2100", "\u1f82", "\u1f82\u0345", "ß", "㍿社"]
)
def test_what_grows_takes_a_moment_and_is_found_from_its_beginning(unit: str) -> None:
    text = "toner " + unit * (100_000 // len(unit)) + " end"
    started = time.process_time()
    index = for_index(text)
    assert time.process_time() - started < 1
    assert len(index) < 7 * len(text), "a run without spaces takes three characters for each"
    assert index.startswith("toner ") and finds(text, "toner")
    usual = "toner " + unit * 50 + " end"
    assert finds(usual, "end"), "of a usual text everything"
