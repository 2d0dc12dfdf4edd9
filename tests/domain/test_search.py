"""The search box: any text is understood, and none of it is syntax of an engine."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.embedded import search as fts
from backend.domain.folding import for_index
from backend.domain.search import LONGEST_QUERY, Condition, Span, Term, being_typed, parse, understand
from backend.errors import Unprocessable


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("printer", [Term(("printer",))]),
        ("print*", [Term(("print",), prefix=True)]),
        ("-scanner", [Term(("scanner",), excluded=True)]),
        ('"blank pages"', [Term(("blank", "pages"))]),
        ('-"blank pages"', [Term(("blank", "pages"), excluded=True)]),
        ('"never closed', [Term(("never", "closed"))]),
        ("wi-fi", [Term(("wi", "fi"))]),
        ("a  b", [Term(("a",)), Term(("b",))]),
        ("AND OR NOT NEAR", [Term((word,)) for word in ("AND", "OR", "NOT", "NEAR")]),
        ('!!! * - ""', []),
        ("", []),
        ("error -1603", [Term(("error",)), Term(("1603",))]),
        ("git push --force", [Term(("git",)), Term(("push",)), Term(("force",))]),
        ("-0x80070005", [Term(("0x80070005",))]),
        ("(-jam) a-b", [Term(("jam",)), Term(("a", "b"))]),
        ('"paper"-jam', [Term(("paper",)), Term(("jam",))]),
        ('jam -"1603" -é', [Term(("jam",)), Term(("1603",), excluded=True), Term(("é",), excluded=True)]),
        ("jam\t-scanner", [Term(("jam",)), Term(("scanner",), excluded=True)]),
        ("印刷 ที่นี่", [Term(("印刷",)), Term(("ที่นี่",))]),
        ("\u200d \ufe0f 🖨️", []),
    ],
)
def test_reads(text: str, terms: list[Term]) -> None:
    assert list(parse(text)) == terms


@pytest.fixture(scope="module")
def index():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (a, b)")
    yield connection
    connection.close()


@given(text=st.text(max_size=60) | st.text(alphabet="ab \"*-()^:{}+\\'", max_size=60))
def test_no_text_is_a_syntax_error_in_the_engine(index: sqlite3.Connection, text: str) -> None:
    try:
        terms = parse(text)
    except Unprocessable:
        return
    for expression in (fts.positive(terms), fts.negative(terms)):
        if expression:
            index.execute("SELECT count(*) FROM t WHERE t MATCH ?", (expression,)).fetchone()


@given(st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), min_size=1, max_size=8))
def test_finds_every_word_that_is_there(words: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (a, tokenize = 'ascii')")
    connection.execute("INSERT INTO t VALUES (?)", (for_index(" ".join(words)),))
    expression = fts.positive(parse(" ".join(reversed(words))))
    assert connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (expression,)).fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "prin",
        "vpn outage",
        '"a phrase" wor',
        "e-mai",
        "ORA-000",
        "grace.hop",
        "10.20.3",
        "C:\\Prog",
        "user@exam",
        "\\\\srv\\sha",
        "--forc",
        "-160",
        "foo_ba",
        "réunio",
        "#300",
        "a'b",
    ],
)
def test_last_word_may_go_on_across_its_marks(query: str) -> None:
    assert being_typed(query) == f"{query}*"
    term = parse(being_typed(query))[-1]
    assert term.prefix and not term.excluded


@pytest.mark.parametrize("query", ["", "a", "done ", '"open phrase', "status:open", "-not", "star*", "e-", "10.20."])
def test_nothing_else_goes_on(query: str) -> None:
    assert being_typed(query) == query


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8", 8),
        ("#3006", 3006),
        (" #8 ", 8),
        ("8*", 8),
        ("８", 8),
        ("007", 7),
        ("8 9", None),
        ("8a", None),
        ("-8", None),
        ("#", None),
        ("٣", None),
        ("9" * 16, None),
        ('"8"', None),
    ],
)
def test_a_number_alone_is_a_ticket_s(text: str, number: int | None) -> None:
    assert understand(text, "ME").number == number


WORDS = " ".join(f"w{number}" for number in range(33))


def test_what_is_typed_again_counts_once() -> None:
    once = parse("Über -drucker büro*")
    assert parse("Über -drucker büro* über UBER -Drucker Büro* uber " * 9) == once
    assert understand("Über -drucker büro* " * 20, "ME").terms == once
    assert len(parse("a -a a* a")) == 3


@pytest.mark.parametrize("text", [WORDS, '"' + "a " * 33 + '"', "a-" * 33, "tag:" + ",".join("a" * 33)])
def test_refuses_more_words_than_it_looks_for(text: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        understand(text, "ME")
    assert "at most 32 words" in refused.value.problems[0][1]


def test_refuses_what_is_too_long() -> None:
    with pytest.raises(Unprocessable):
        parse("a" * (LONGEST_QUERY + 1))
    with pytest.raises(Unprocessable):
        parse(WORDS)


@pytest.mark.parametrize(
    ("text", "terms", "conditions"),
    [
        ("status:open", None, [Condition("status", ("open",))]),
        ("STATUS:Open,waiting", None, [Condition("status", ("open", "waiting"))]),
        ('-category:"Office 365",HR', None, [Condition("category", ("Office 365", "HR"), excluded=True)]),
        ("assignee:me team:none", None, [Condition("assignee", ("ME",)), Condition("team", (None,))]),
        ('assignee:"me","none"', None, [Condition("assignee", ("me", "none"))]),
        ("tag:none", None, [Condition("tag", ("none",))]),
        ("is:unassigned", None, [Condition("assignee", (None,))]),
        ("number:#42", None, [Condition("number", (42,))]),
        ("created:>=2026-01-31", None, [Span("created", "2026-01-31T00:00:00.000000Z", None)]),
        ("created:>2026-01", None, [Span("created", "2026-02-01T00:00:00.000000Z", None)]),
        ("before:2026", None, [Span("created", None, "2026-01-01T00:00:00.000000Z")]),
        ("due:2024-02", None, [Span("due", "2024-02-01T00:00:00.000000Z", "2024-03-01T00:00:00.000000Z")]),
        (
            "-updated:2026-01-31..2026-02-01",
            None,
            [Span("updated", "2026-01-31T00:00:00.000000Z", "2026-02-02T00:00:00.000000Z", excluded=True)],
        ),
        ("after:2026-01-31T10:00:00+02:00", None, [Span("created", "2026-01-31T08:00:00.000000Z", None)]),
        ("jam status:open", [Term(("jam",))], [Condition("status", ("open",))]),
        ("colour:red", [Term(("colour", "red"))], []),
        ('"status:open"', [Term(("status", "open"))], []),
        ("status: open", [Term(("status",)), Term(("open",))], []),
        ("http://a.b", [Term(("http", "a", "b"))], []),
        ("!!! tag:a", [], [Condition("tag", ("a",))]),
        ("  ", None, []),
    ],
)
def test_understands_fields(text: str, terms: list[Term] | None, conditions: list[Condition | Span]) -> None:
    found = understand(text, "ME")
    assert (found.terms if found.terms is None else list(found.terms)) == terms
    assert list(found.conditions) == conditions


@pytest.mark.parametrize(
    "text",
    [
        "status:broken",
        "severity:5",
        "is:late",
        "is:open,overdue",
        "number:x",
        "number:9999999999999999999999",
        "number:٣",
        "created:yesterday",
        "created:2026-02-30",
        "created:9999",
        "created:>=",
        "due:0000",
        "before:2026-13",
        'tag:""',
        "tag:,",
        "created:2026-01-01T00:00:00+99:99",
    ],
)
def test_says_what_a_known_field_takes(text: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        understand(text, "ME")
    assert "needs" in refused.value.problems[0][1] and "\n" not in str(refused.value)


FIELDS = st.sampled_from(["status", "tag", "created", "number", "is", "assignee", "before", "foo", "due"])
VALUES = st.text(alphabet='ab:,"<>=.-#*01269٣é openTZ+', max_size=12)


@given(
    st.lists(st.tuples(st.sampled_from(["", "-", "--"]), FIELDS, VALUES), max_size=5) | st.just([]),
    st.text(max_size=20),
)
def test_whatever_is_typed_is_understood_or_refused_in_words(parts: list[tuple[str, str, str]], more: str) -> None:
    text = " ".join(f"{minus}{field}:{value}" for minus, field, value in parts) + " " + more
    try:
        found = understand(text, "ME")
    except Unprocessable as refused:
        assert refused.problems
        return
    for condition in found.conditions:
        if isinstance(condition, Span):
            assert condition.start or condition.end
        else:
            assert condition.values
    assert understand(text, "ME") == found


@given(st.text(max_size=60).filter(lambda text: ":" not in text))
def test_without_a_field_it_is_the_words_alone(text: str) -> None:
    assert tuple(understand(text, "ME").terms or ()) == parse(text)
