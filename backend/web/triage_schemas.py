"""The shapes of suggestions, for the documentation (see `schemas.py`)."""

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.neighbours import Source, Subject
from backend.web.schemas import example

_ID = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"
_EVIDENCE = {"kind": "ticket", "id": _ID, "number": 7, "title": "Blank pages from the new printer", "similarity": 0.71}


class EvidenceOut(BaseModel):
    """A ticket or a memory that says nearly the same."""

    model_config = ConfigDict(extra="forbid")

    kind: Source
    id: str
    number: int | None = Field(description="the ticket's; a memory's, of the ticket that it was learned from")
    title: str
    similarity: float = Field(description="0, no word in common, to 1, the same words")


class SimilarOut(EvidenceOut):
    """The same with what became of it."""

    settled: bool = Field(description="whether it is resolved or closed; a memory always is")
    resolution: str | None


class SuggestionOut(BaseModel):
    """A value for one of the ticket's fields; it may be the one that is there."""

    model_config = ConfigDict(extra="forbid")

    field: Subject
    value: str | list[str] = Field(description="of tags, those to be added")
    current: str | list[str] | None
    confidence: float = Field(description="0 to 1; what is said with 0.7 should be right in seven cases of ten")
    reason: str = Field(description="in a line; a model's is plain text that nobody has proved")
    by: str = Field(description="`offline` or `bedrock`; who solves such tickets is always told by the built-in one")
    evidence: list[EvidenceOut]


class TriageOut(BaseModel):
    """What is suggested for a ticket. Nothing of it has been done."""

    model_config = example(
        ticket_id=_ID,
        version=1,
        by="offline",
        model=None,
        made_at="2026-11-22T10:00:00.000000Z",
        note=None,
        suggestions=[
            {
                "field": "category",
                "value": "Hardware",
                "current": "Other",
                "confidence": 0.83,
                "reason": "9 of the 11 most similar say so, the nearest among them.",
                "by": "offline",
                "evidence": [_EVIDENCE],
            }
        ],
        similar=[{**_EVIDENCE, "settled": True, "resolution": "The drum's protective film was still on."}],
    )

    ticket_id: str
    version: int = Field(description="of the ticket as it was looked at; for `If-Match`")
    by: str = Field(description="`offline` or `bedrock`")
    model: str | None
    made_at: str
    note: str | None = Field(description="why the model did not answer itself, where it did not")
    suggestions: list[SuggestionOut]
    similar: list[SimilarOut] = Field(description="the most similar first")


ANSWERS: tuple[type[BaseModel], ...] = (TriageOut,)
