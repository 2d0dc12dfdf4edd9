"""What came with an internal note is found by who did it and when, for tickets of before files knew their comment."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backend.domain.attachments import Attachment
from backend.domain.tickets import Comment, Event
from backend.domain.values import Instant, instant, new_id
from backend.domain.visibility import corrected

TICKET = new_id()
_START = 1_780_000_000_000_000


def at(seconds: float) -> Instant:
    return instant(_START + int(seconds * 1_000_000))


def line(kind: str, seconds: float, names: list[str], actor: str = "Ada") -> Event:
    pair = (names, None) if kind == "detached" else (None, names)
    return Event(new_id(), TICKET, at(seconds), actor, "agent", kind, {"attachments": pair})


def file(name: str, seconds: float, uploader: str = "Ada") -> Attachment:
    return Attachment(new_id(), TICKET, new_id(), name, "text/plain", 1, "0" * 64, uploader, at(seconds))


def said(seconds: float, internal: bool = True, author: str = "Ada") -> Comment:
    return Comment(new_id(), TICKET, author, "", internal, at(seconds))


def test_file_of_a_note_becomes_internal_with_its_lines() -> None:
    note, key = said(10.2), file("key.pem", 9)
    lines = [line("attached", 10, ["key.pem"]), line("detached", 500, ["key.pem"])]
    found = corrected([note], [key], lines)
    assert found.attachments == (replace(key, comment_id=note.id, internal=True),)
    assert [one.internal for one in found.history] == [True, True]
    assert corrected([note], found.attachments, found.history) == found, "again it changes nothing"


def test_what_is_of_others_of_another_moment_or_public_too_stays() -> None:
    for comments in (
        [said(10.2, author="Lin")],
        [said(60)],
        [said(10.2, internal=False)],
        [said(10.2), said(10.4, internal=False)],
        [],
    ):
        attached, key = line("attached", 10, ["key.pem"]), file("key.pem", 9)
        found = corrected(comments, [key], [attached])
        assert (found.attachments, found.history) == ((key,), (attached,)), comments


def test_files_of_the_same_name_belong_each_to_its_own_line() -> None:
    """A pasted picture is `image.png` every time."""
    public, hidden = file("image.png", 9), file("image.png", 99)
    lines = [line("attached", 10, ["image.png"]), line("attached", 100, ["image.png"])]
    comments = [said(10.1, internal=False), said(100.1)]
    assert [one.internal for one in corrected(comments, [public, hidden], lines).attachments] == [False, True]
    # The public one was removed since: the internal one is not taken for it.
    gone = [*lines, line("detached", 200, ["image.png"])]
    assert [one.internal for one in corrected(comments, [hidden], gone).attachments] == [True]
    assert [one.internal for one in corrected(comments, [hidden], gone).history] == [False, True, False]


def test_file_filed_with_the_ticket_stays() -> None:
    first = file("a.txt", 0)
    found = corrected([said(1)], [first], [line("created", 0.5, ["a.txt"])])
    assert (found.attachments, [one.internal for one in found.history]) == ((first,), [False])


SECONDS = st.integers(0, 40).map(lambda tenths: tenths * 0.5)
NAMES = st.sampled_from(["a.txt", "b.txt"])
ACTORS = st.sampled_from(["Ada", "Lin"])


@given(
    st.lists(st.builds(said, SECONDS, st.booleans(), ACTORS), max_size=6),
    st.lists(st.tuples(SECONDS, st.lists(NAMES, min_size=1, max_size=2), ACTORS), max_size=6),
)
def test_nothing_public_is_hidden_without_a_note_and_nothing_hidden_is_named_in_public(
    comments: list[Comment], acts: list[tuple[float, list[str], str]]
) -> None:
    acts.sort(key=lambda act: act[0])
    lines = [line("attached", seconds, names, actor) for seconds, names, actor in acts]
    files = [file(name, seconds - 0.1, actor) for seconds, names, actor in acts for name in names]
    found = corrected(comments, files, lines)
    notes = {one.id: one for one in comments if one.internal}
    for before, after in zip(files, found.attachments, strict=True):
        if after.internal:
            assert notes[after.comment_id].author == before.uploader
        else:
            assert after == before
    hidden = [(one.uploader, one.name) for one in found.attachments if one.internal]
    shown = [(one.uploader, one.name) for one in found.attachments if not one.internal]
    for one in found.history:
        for name in one.changes["attachments"][1]:
            assert (one.actor, name) in (hidden if one.internal else shown)
    assert corrected(comments, found.attachments, found.history) == found
