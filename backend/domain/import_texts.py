"""Texts of a table that are longer than a ticket's may be."""

from backend.domain.text import clean_text
from backend.domain.values import LONGEST_PROSE

_SHORT_TITLE = 80


def fit(text: str, name: str) -> str:
    """The text if a ticket can hold it, else its beginning, with where the whole is: in the file of this name."""
    if len(text) <= LONGEST_PROSE or len(clean_text(text)) <= LONGEST_PROSE:
        return text
    ending = f"\n\n\u2026 The whole text is in the attached file {name}."
    return clean_text(text)[: LONGEST_PROSE - len(ending)].rstrip() + ending


def cut(line: str, limit: int) -> str:
    """The beginning of a line, up to a space if there is one near."""
    kept = line[: limit - 1]
    words = kept.rpartition(" ")[0]
    return (words if len(words) > limit // 2 else kept).rstrip() + "\u2026"


def short_title(text: str) -> str:
    """A title from a description: the beginning of its first line."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _SHORT_TITLE else line[: _SHORT_TITLE - 1].rsplit(" ", 1)[0] + "\u2026"
