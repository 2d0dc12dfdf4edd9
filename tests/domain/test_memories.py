"""Memories survive their Markdown file, whatever is in them, and files written by hand are read."""

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.memories import Memory, from_markdown, is_memory_id, to_markdown

LINE = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
BODY = st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=300)
AT = "2026-11-22T10:00:00.000000Z"


@given(LINE.filter(str.strip), BODY, st.lists(LINE, max_size=3), LINE.filter(str.strip) | st.none())
def test_reads_back_what_it_wrote(title: str, body: str, tags: list[str], category: str | None) -> None:
    body = body.lstrip("\n")
    memory = Memory("the-id", title, body, category, tuple(tags), None, 7, "Ada", AT, AT)
    assert from_markdown(to_markdown(memory), "the-id", "other") == memory


@given(st.text(max_size=300))
def test_reads_any_file(text: str) -> None:
    memory = from_markdown(text, "by-hand", AT)
    assert memory.id == "by-hand" and memory.title


def test_reads_what_people_write_by_hand() -> None:
    text = "---\ntitle: VPN reset\ntags: [vpn, 'network']\nticket_number: 12\nodd\n---\n\n# Steps\n\nTurn it off."
    memory = from_markdown(text, "vpn", AT)
    assert (memory.title, memory.tags, memory.ticket_number) == ("VPN reset", ("vpn", "network"), 12)
    assert memory.body == "# Steps\n\nTurn it off."
    assert from_markdown("# Only a heading\ntext", "x", AT).title == "Only a heading"


@given(st.text(max_size=30))
def test_ids_are_never_paths(text: str) -> None:
    if is_memory_id(text):
        assert "/" not in text and "\\" not in text and not text.startswith(".") and "\0" not in text
