"""People's text as HTML, and figures as drawings."""

import html
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import sla
from backend.domain.values import instant_of
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
        ("```code```", '<p dir="auto"><code>code</code></p>'),
        ("so ```a `b` c``` it is", '<p dir="auto">so <code>a `b` c</code> it is</p>'),
        ("``a`b`` and `c", '<p dir="auto"><code>a`b</code> and `c</p>'),
        (
            "```one two\nthree```\nend",
            '<pre tabindex="0" dir="ltr"><code>one two\nthree</code></pre><p dir="auto">end</p>',
        ),
        ("```\none\ntwo```", '<pre tabindex="0" dir="ltr"><code>one\ntwo</code></pre>'),
        ("```\necho ```\ntwo\n```", '<pre tabindex="0" dir="ltr"><code>echo ```\ntwo</code></pre>'),
        ("# no heading", '<p dir="auto"># no heading</p>'),
        ("  \n\n ", ""),
    ],
)
def test_shows(typed: str, shown: str) -> None:
    assert text.rich(typed) == shown


ADDRESSES = (
    "https://example.org",
    "https://example.org/",
    "http://example.org:8080/a/b.html?x=1&y=%20#part",
    "https://example.org/a_(b)",
    "https://example.org/a_(b)_[c]/d",
    "http://[::1]:8080/health",
    "https://ja.wikipedia.org/wiki/日本語",
    "https://example.org/naïve–dash",
    "https://example.org/O'Brien",
    "https://example.org/a,b;c:d@e!f*g~h$i+j=k",
    "https://example.org/foo_bar_baz",
    "HTTP://EXAMPLE.ORG/A",
    "https://münchen.example/straße",
    "https://example.org/{id}/x",
)
# What people write right after an address; the sentence goes on after it, or ends.
ENDS = [
    *""".,;:!?)]}>'"`…。、，！？；：）」』】》〉«»‹›“”„‘’*|<→™・؟،।🙂([""",
    *("**", "...", "?!", ").", ")。", '".', "**.", "\u202c", "\u2028", "\u00a0", "\u3000", "'s, "),
]
PAIRS = (("(", ")"), ("[", "]"), ("<", ">"), ('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("«", "»"), ("「", "」"))
PAIRS += (("（", "）"), ("**", "**"), ("*", "*"), ("_", "_"), ("__", "__"), ("~~", "~~"), ("{", "}"), ("|", "|"))


def links(typed: str) -> list[str]:
    return [html.unescape(link) for link in re.findall('<a href="([^"]*)"', text.rich(typed))]


@given(
    st.sampled_from(["", "see ", "よ", "(see ", "「"]),
    st.sampled_from(ADDRESSES),
    st.sampled_from(ENDS),
    st.sampled_from(["", " and so on", "\nnext", "続き"]),
)
def test_an_address_ends_where_the_sentence_goes_on(before: str, address: str, end: str, after: str) -> None:
    joined = end.isascii() or end == "’"  # between two letters it may be a part of the address
    assert links(before + address + end + after.replace("続き", "" if joined else "続き")) == [address]


@given(st.sampled_from(PAIRS), st.sampled_from(ADDRESSES), st.sampled_from(["", ".", ",", "。", " x", "?!"]))
def test_an_address_ends_within_what_is_around_it(pair: tuple[str, str], address: str, after: str) -> None:
    assert links(f"{pair[0]}{address}{pair[1]}{after}") == [address]
    assert links(f"{address}、{address}{after}") == [address] * 2


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("[the guide](https://example.org/a_(b)), and more", ["https://example.org/a_(b)"]),
        ("(https://example.org/a)and https://example.org/b", ["https://example.org/a", "https://example.org/b"]),
        ("https:// https://. https://) http://", []),
        ("https://example.org/**/x", ["https://example.org/**/x"]),
        ("<https://example.org/?a=1&b=2>", ["https://example.org/?a=1&b=2"]),
        ('https://example.org/"onclick=x', ["https://example.org/"]),
        ("`https://example.org`", []),
    ],
)
def test_links(typed: str, found: list[str]) -> None:
    assert links(typed) == found


@given(st.lists(st.sampled_from([*"ab/.,)(。'*_[\n 「»", "https://a"]), max_size=40))
def test_nothing_typed_is_lost_by_linking(signs: list[str]) -> None:
    typed = "".join(signs)
    shown = html.unescape(re.sub("<[^>]*>", "", text.rich(typed)))
    assert shown.strip("\n") == typed.strip("\n") or not typed.strip()


LONG = (
    ")" * 100_000,
    "(" * 50_000 + ")" * 50_000,
    ".)" * 50_000,
    "。https://a" * 9_000,
    "**https://a" * 8_000,
    "".join("`" * (1 + number % 400) + "x" for number in range(500)),
    "\n```x y\na```" * 8_000,
    "\n```x\n" * 15_000,
    "'a" * 50_000,
)


def test_numbers_of_known_tickets_are_links() -> None:
    shown = text.rich("#7, #8 (see #7). a#7 #7b /#7 ##7 `#7` https://example.org/#7 #70", {7: "ID"})
    assert shown.count('<a href="/tickets/ID">#7</a>') == 2
    assert text.mentioned(["#7 and #8", "#9 #7 `#1`"], 3) == [7, 8, 9]
    assert text.rich("#7") == '<p dir="auto">#7</p>'


def test_takes_a_moment_for_whatever_is_typed() -> None:
    for tail in LONG:
        started = time.process_time()
        text.rich("https://a" + tail)
        assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "unit",
    [
        "```" + " " * 3_000 + "a`\n",
        "```\n",
        "# a\n",
        "`a` ``b`` ",
        "https://a.b/c ",
        "#1 ",
        "\n",
        " \n",
        "```a\nb```\n",
    ],
)
def test_a_long_text_of_any_shape_takes_a_moment_and_loses_nothing(unit: str) -> None:
    typed = "x" + unit * (100_000 // len(unit)) + "end"
    for write in (lambda: text.rich(typed, {1: "T"}), lambda: text.markdown(typed)):
        started = time.process_time()
        shown = write()
        assert time.process_time() - started < 0.5
        assert len(shown) < 600_000 and "end" in shown[-20:]


def test_marks_past_the_most_are_shown_as_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST_MARKS", 2)
    assert text.rich("`a` https://b.c <#1> `d`", {1: "T"}) == (
        '<p dir="auto"><code>a</code> https://b.c &lt;#1&gt; <code>d</code></p>'
    )
    assert text.markdown("# a\n# b\n# <c>") == '<h2 dir="auto">a</h2><h2 dir="auto">b</h2><p dir="auto"># &lt;c&gt;</p>'


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


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (0.5, "in a moment"),
        (5.5, "in 5 min"),
        (-0.5, "just now"),
        (-125, "2 h ago"),
        (-29.9 * 1440, "29 d ago"),
        (-100 * 1440, "22 Aug"),
        (-400 * 1440, "26 Oct 2025"),
        (60 * 1440, "29 Jan 2027"),
    ],
)
def test_says_how_long_ago_and_from_a_month_on_the_day(minutes: float, shown: str) -> None:
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert rendering.distance(at + timedelta(minutes=minutes), at) == shown


@pytest.mark.parametrize(
    ("first_answer", "minutes", "shown"),
    [
        (True, 5.5, "first answer in 5 min"),
        (True, -0.5, "first answer late"),
        (True, -12.5, "first answer 12 min late"),
        (False, 200.5, "due in 3 h"),
        (False, -0.5, "overdue just now"),
        (False, -12.5, "overdue by 12 min"),
    ],
)
def test_says_of_a_promise_how_late_it_is(first_answer: bool, minutes: float, shown: str) -> None:
    now = datetime.now(UTC)
    deadline = sla.Deadline(first_answer, instant_of(now + timedelta(minutes=minutes)))
    text_ = re.sub("<[^>]*>", "", rendering.time(deadline.at, promise=deadline))
    assert f"{rendering.label(deadline, instant_of(now))} {text_}" == shown
