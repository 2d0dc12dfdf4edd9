"""People's text as HTML, and figures as drawings."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.web.pages import plots, rendering, text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("a\nb", '<p dir="auto">a\nb</p>'),
        ("<b>", '<p dir="auto">&lt;b&gt;</p>'),
        ("`<i>`", '<p dir="auto"><code>&lt;i&gt;</code></p>'),
        ("javascript:alert(1)", '<p dir="auto">javascript:alert(1)</p>'),
        ("```\n<x>\n  y\n```", '<pre tabindex="0" dir="ltr"><code>&lt;x&gt;\n  y</code></pre>'),
        ("```sh\nnever closed", '<pre tabindex="0" dir="ltr"><code>never closed</code></pre>'),
        ("# no heading", '<p dir="auto"># no heading</p>'),
        ("  \n\n ", ""),
    ],
)
def test_shows(typed: str, shown: str) -> None:
    assert text.rich(typed) == shown


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("see https://example.org/a.", "https://example.org/a"),
        ("(https://example.org/a_(b))", "https://example.org/a_(b)"),
        ("<https://example.org/?a=1&b=2>", "https://example.org/?a=1&amp;b=2"),
        ("HTTP://EXAMPLE.ORG!", "HTTP://EXAMPLE.ORG"),
        ('https://example.org/"onclick=x', "https://example.org/"),
    ],
)
def test_links(typed: str, address: str) -> None:
    shown = text.rich(typed)
    assert f'<a href="{address}" rel="noopener nofollow ugc" target="_blank">{address}</a>' in shown


def test_takes_a_moment_for_whatever_is_typed() -> None:
    for tail in (")" * 19_000, "(" * 9_500 + ")" * 9_500, ".)" * 9_500):
        started = time.perf_counter()
        text.rich("https://a" + tail)
        assert time.perf_counter() - started < 0.3


def test_headings_only_where_markdown_is_meant() -> None:
    assert text.markdown("## Problem\n\nIt broke") == '<h2 dir="auto">Problem</h2><p dir="auto">It broke</p>'


@given(st.text(alphabet=st.sampled_from("ab <>&\"'`#\n[]()https://.\u202e"), max_size=80))
def test_no_text_makes_an_element_of_its_own(typed: str) -> None:
    for shown in (text.rich(typed), text.markdown(typed)):
        rest = shown
        for ours in (
            "<p dir=",
            "</p>",
            "<code>",
            "</code>",
            "<pre tabindex=",
            "</pre>",
            "<a href=",
            "</a>",
            "<h2 dir=",
            "</h2>",
        ):
            rest = rest.replace(ours, "")
        assert "<" not in rest


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_bars_stay_in_their_drawing(counts: list[int]) -> None:
    dates = [f"2026-01-{1 + index % 28:02d}" for index in range(len(counts))]
    drawn = plots.pairs(dates, counts, counts[::-1], ("opened", "resolved"))
    assert len(drawn.bars) == 2 * len(counts)
    for bar in drawn.bars:
        assert bar.y >= 0 and bar.height >= 0 and bar.y + bar.height <= drawn.base + 0.2
        assert drawn.left <= bar.x and bar.x + bar.width <= drawn.width
    assert drawn.levels[0].label == "0" and drawn.levels[-1].at >= 0, "the greatest lies below the topmost line"
    assert 2 <= len(drawn.levels) <= 7


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lovelace", "AL"), ("ada@example.org", "A"), ("ada.lovelace@x", "AL"), ("\u202e", "?"), ("李", "李")],
)
def test_initials(name: str, letters: str) -> None:
    assert rendering.initials(name) == letters


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0"), (999, "999"), (1_000, "1k"), (2_500, "2.5k"), (40_000, "40k"), (2_500_000, "2.5M")]
)
def test_scale_says_great_numbers_in_few_characters(count: int, shown: str) -> None:
    assert plots.compact(count) == shown
