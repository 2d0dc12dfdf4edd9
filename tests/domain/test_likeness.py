"""How alike two texts are."""

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.folding import words_of
from backend.domain.likeness import MOST_ASKED, counted, similarities, telling

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=60)


def alike(one: str, *others: str) -> list[float]:
    return similarities(counted(one, ""), [counted(other, "") for other in others])


def test_the_same_words_are_more_alike_than_some_of_them() -> None:
    same, some, none = alike("printer jams paper", "Paper jams: PRINTER!", "printer is out of toner", "vpn is slow")
    assert round(same, 6) == 1.0
    assert same > some > none == 0.0


def test_a_rare_word_in_common_says_more_than_one_that_all_have() -> None:
    common, rare, *_ = alike("please help drucker", "please thanks", "drucker thanks", "please", "please do")
    assert rare > common


def test_case_and_accents_make_no_difference() -> None:
    assert round(alike("Büro gestört", "BURO GESTORT")[0], 6) == 1.0


def test_what_the_title_says_counts_more() -> None:
    wanted = counted("printer", "network")
    of_title, of_text = similarities(wanted, [counted("printer", "x"), counted("network", "x")])
    assert of_title > of_text


@given(TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_is_between_nothing_and_the_same_whatever_is_said(text: str, others: list[tuple[str, str]]) -> None:
    found = similarities(counted(text, text), [counted(*other) for other in others])
    assert len(found) == len(others)
    assert all(0.0 <= one <= 1.0 + 1e-9 for one in found)


@given(TEXTS, TEXTS)
def test_words_to_look_for_are_few_and_said(title: str, text: str) -> None:
    words = telling(title, text)
    assert len(words) == len(set(words)) <= MOST_ASKED
    assert set(words) <= set(words_of(f"{title} {text}"))


def test_words_to_look_for_are_of_the_title_first_and_no_keys_or_fillers() -> None:
    words = telling("VPN is down", "a8f3e2c4b5d6e7f8a9b0c1d2e3f4a5b6c7d8e9f0 connection of the gateway is lost")
    assert words[:2] == ("down", "vpn")
    assert "connection" in words and "is" not in words and max(map(len, words)) <= 24


def test_of_a_long_text_the_beginning_is_read() -> None:
    assert "zyzzyva" not in counted("t", "log line " * 3_000 + "zyzzyva")


def test_words_to_look_for_are_what_a_person_wrote_above_a_log() -> None:
    log = "\n".join(f"2026-11-26T06:28:51 {number:016x} ERROR" for number in range(2**60, 2**60 + 40))
    words = telling("Report 4711", f"The printer jams again\n{log}")
    assert {"report", "4711", "printer", "again", "error"} <= set(words)
    assert len(words) == MOST_ASKED, "and then the longest of the rest"


def test_a_log_below_it_does_not_bury_what_a_person_wrote() -> None:
    log = "\n".join(f"2026-11-26T06:28:51 {number:016x}" for number in range(2**60, 2**60 + 50))
    said = "The printer jams again, with the error 0x8007"
    (alike_,) = similarities(counted("Report", f"{said}\n{log}"), [counted("Report", said)])
    assert alike_ > 0.5
    assert "0x8007" in counted("Report", f"{said}\n{log}")
