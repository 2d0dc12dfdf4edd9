"""Ids, instants and cursors: rules that hold for every value."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.values import ID_PATTERN, instant, instant_of, is_id, new_id, open_cursor, seal_cursor
from backend.errors import InvalidCursor

QUERY = "0123456789abcdef0123456789abcdef"
POSITIONS = st.lists(st.text(max_size=40) | st.integers(-(2**60), 2**60), max_size=4)


def test_ids_are_ulids_that_grow() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))
    assert all(re.fullmatch(ID_PATTERN, identity) for identity in made)


def test_ids_carry_their_time() -> None:
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    milliseconds = 0
    for letter in new_id()[:10]:
        milliseconds = milliseconds * 32 + letters.index(letter)
    assert abs(milliseconds / 1000 - datetime.now(UTC).timestamp()) < 5


@given(st.text(max_size=40))
def test_is_id_agrees_with_the_pattern(text: str) -> None:
    assert is_id(text) == (re.fullmatch(ID_PATTERN, text) is not None)


def test_an_id_ends_where_it_ends() -> None:
    assert not is_id(new_id() + "\n")


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_instants_sort_as_text_and_read_back(moment: datetime) -> None:
    text = instant_of(moment)
    assert datetime.fromisoformat(text) == moment
    assert len(text) == 27


@given(st.integers(0, 2**52))
def test_instants_count_microseconds(microseconds: int) -> None:
    read = datetime.fromisoformat(instant(microseconds)) - datetime(1970, 1, 1, tzinfo=UTC)
    assert read // timedelta(microseconds=1) == microseconds


@given(POSITIONS)
def test_cursor_gives_back_its_position(position: list) -> None:
    assert open_cursor(QUERY, seal_cursor(QUERY, position), *map(type, position)) == position


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30, "\ud800", "a\udfffb"])
def test_a_position_that_no_store_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidCursor):
        open_cursor(QUERY, seal_cursor(QUERY, [value]), type(value))


@given(st.text(max_size=60), st.lists(st.sampled_from([str, int, float]), max_size=3))
def test_any_other_text_is_no_cursor(text: str, kinds: list[type]) -> None:
    with pytest.raises(InvalidCursor):
        open_cursor(QUERY, text, *kinds)


@given(POSITIONS)
def test_cursor_of_another_query_is_refused(position: list) -> None:
    with pytest.raises(InvalidCursor):
        open_cursor("f" * 32, seal_cursor(QUERY, position), *map(type, position))
