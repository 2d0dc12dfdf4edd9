"""Triage: what a ticket may need, judged by what became of those most like it. It is only ever suggested.

The built-in judgement is a vote of the nearest neighbours, the nearer the stronger (Dudani, IEEE Trans. Systems, Man
and Cybernetics 6, 1976). It learns by itself: whatever people decided on earlier tickets is what votes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.domain.access import Caller, Role
from backend.domain.edits import Desk, Versions
from backend.domain.neighbours import Neighbour, Question, Source, Subject, Value, each
from backend.domain.text import folded
from backend.domain.tickets import MOST_TAGS, Edit, Severity, Tags, Ticket, Written, each_once
from backend.domain.values import Address, Instant, Name, fingerprint
from backend.errors import Conflict

OFFLINE = "offline"
MOST_SHOWN = 5
_LEAST_CONFIDENCE = 0.3
_LEAST_TAGGED = 0.5
# A few faint neighbours that agree are not yet sure of it: as if so much spoke against every value. With it, what is
# said with a confidence of 0.7 is right more often than in seven cases of ten (`python -m tests.bench.triage`).
_DOUBT = 0.05
_FEW = 3  # of so many neighbours the doubt is twice that, of one four times
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value for a field. `confidence` is 0 to 1; `evidence` the ids of neighbours; `by` who says so."""

    subject: Subject
    value: Value
    confidence: float
    reason: str
    evidence: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an assistant says, and with which model. Nobody has looked at it yet (see `checked`): `said` should hold
    mappings with the keys subject, value, confidence, reason and evidence."""

    said: Sequence[Any]
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Triage:
    """What was suggested for a ticket, by whom, from what. `teams` is as far as they looked: all, if empty."""

    by: str
    model: str | None
    made_at: Instant
    about: str
    """A fingerprint of what was judged."""
    teams: tuple[str, ...]
    note: str | None
    suggestions: tuple[Suggestion, ...]
    neighbours: tuple[Neighbour, ...]


class Choice(BaseModel):
    """Which suggestions are to be applied, with their values as they were shown."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"category": "Hardware", "tags": ["printer"]}]}
    )

    category: Name | None = None
    severity: Severity | None = None
    team: Name | None = None
    assignee: Address | None = None
    tags: Tags | None = Field(default=None, description="of those suggested, the ones to be added")

    @model_validator(mode="after")
    def _says_something(self) -> "Choice":
        if not self.values():
            raise ValueError(f"name at least one of {', '.join(Subject)}, with the value that was suggested")
        return self

    def values(self) -> dict[Subject, Value]:
        """By subject."""
        named = {subject: getattr(self, subject) for subject in Subject}
        return {subject: value for subject, value in named.items() if value}


# ---- What is answered ------------------------------------------------------------------------------------------------


def vote(asked: Question) -> tuple[Suggestion, ...]:
    """What the neighbours say, by their weight."""
    found = (_elected(asked, subject) for subject in Subject)
    return tuple(suggestion for suggestion in found if suggestion)


def _elected(asked: Question, subject: Subject) -> Suggestion | None:
    voters = [one for one in asked.neighbours if subject in one.values]
    shares = _shares(asked, subject, voters)
    if not shares:
        return None
    if subject is Subject.TAGS:
        tags = tuple(sorted(tag for tag, share in shares.items() if share >= _LEAST_TAGGED))
        return _suggested(asked, subject, tags, min(shares[tag] for tag in tags)) if tags else None
    value, share = max(shares.items(), key=lambda pair: (pair[1], pair[0]))
    return _suggested(asked, subject, value, share) if share >= _LEAST_CONFIDENCE else None


def _shares(asked: Question, subject: Subject, voters: Sequence[Neighbour]) -> dict[str, float]:
    """Of all weight, and the doubt, how much speaks for each value. Who has no tags speaks against each of them."""
    heard = asked.neighbours if subject is Subject.TAGS else voters
    whole = sum(one.weight for one in heard) + _DOUBT * (1 + _FEW / max(1, len(heard)))
    shares: dict[str, float] = defaultdict(float)
    for one in voters:
        for value in set(each(one.values[subject])) & set(asked.allowed[subject]):
            shares[value] += one.weight / whole
    return shares


def _suggested(asked: Question, subject: Subject, value: Value, share: float) -> Suggestion:
    wanted = set(each(value))
    agreeing = [one.id for one in asked.neighbours if wanted & set(each(one.values.get(subject)))]
    among = ", the nearest among them" if agreeing[0] == asked.neighbours[0].id else ""  # which counts for most
    reason = f"{len(agreeing)} of the {len(asked.neighbours)} most similar say so{among}."
    return Suggestion(subject, value, round(share, 2), reason, tuple(agreeing[:MOST_SHOWN]), OFFLINE)


def checked(asked: Question, said: Sequence[Any], by: str) -> tuple[Suggestion, ...]:
    """What of a model's words can be taken: a ticket may have talked it into anything.

    Only the first word on each subject, only values that there are, only evidence that it was shown.
    """
    found: dict[Subject, Suggestion] = {}
    for one in said:
        suggestion = _understood(asked, one, by) if isinstance(one, Mapping) else None
        if suggestion:
            found.setdefault(suggestion.subject, suggestion)
    return tuple(found[subject] for subject in Subject if subject in found)


def _understood(asked: Question, said: Mapping[str, Any], by: str) -> Suggestion | None:
    subject = next((one for one in Subject if one == said.get("subject")), None)
    if subject is None:
        return None
    spelled = {folded(value): value for value in asked.allowed[subject]}
    words = (folded(one) for one in _several(said.get("value")) if isinstance(one, str))
    values = tuple(dict.fromkeys(spelled[word] for word in words if word in spelled))
    if not values:
        return None
    shown = {one.id for one in asked.neighbours}
    ids = [one for one in _several(said.get("evidence")) if isinstance(one, str) and one in shown]
    value: Value = _fitting(asked.ticket, values) if subject is Subject.TAGS else values[0]
    if not value:
        return None
    reason = one_line(said.get("reason"))
    return Suggestion(
        subject, value, _confidence(said.get("confidence")), reason, tuple(dict.fromkeys(ids))[:MOST_SHOWN], by
    )


def _fitting(ticket: Ticket, tags: Sequence[str]) -> tuple[str, ...]:
    """As many as the ticket has room for: more would only be refused."""
    there = set(ticket.tags)
    new = [tag for tag in tags if tag not in there][: max(0, MOST_TAGS - len(there))]
    return tuple(tag for tag in tags if tag in there or tag in new)


def _several(said: Any) -> Sequence[Any]:
    return said if isinstance(said, list | tuple) else (said,)


def one_line(text: Any) -> str:
    """What somebody outside says, as a short line of plain text."""
    said = text[: 4 * _LONGEST_REASON] if isinstance(text, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:_LONGEST_REASON]


def _confidence(number: Any) -> float:
    known = isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < inf
    return round(float(min(1.0, max(0.0, number))), 2) if known else 0.0


def judged(caller: Caller, asked: Question, opinion: Opinion, by: str, at: Instant, note: str | None = None) -> Triage:
    """What this assistant's opinion comes to. Who solves such tickets the vote tells: a model is told no names."""
    suggestions = {one.subject: one for one in checked(asked, opinion.said, by)}
    if by != OFFLINE:
        suggestions |= {one.subject: one for one in vote(asked) if one.subject is Subject.ASSIGNEE}
    every = tuple(suggestions[subject] for subject in Subject if subject in suggestions)
    return Triage(by, opinion.model, at, _about(asked.ticket), caller.teams, note, every, asked.neighbours)


def offline(asked: Question) -> Opinion:
    """The built-in opinion."""
    return Opinion([asdict(suggestion) for suggestion in vote(asked)])


def is_good(triage: Triage, ticket: Ticket, caller: Caller) -> bool:
    """Whether what was kept may stand for this caller: it is about what the ticket says now, comes from a model (the
    built-in opinion is had anew for nothing), and whoever asked saw no more than the caller does."""
    seen = not caller.teams or (bool(triage.teams) and set(triage.teams) <= set(caller.teams))
    return seen and triage.by != OFFLINE and triage.about == _about(ticket)


def _about(ticket: Ticket) -> str:
    return fingerprint("triage", ticket.title, ticket.description)


# ---- What is done with it --------------------------------------------------------------------------------------------


def suggested_by(triage: Triage, choice: Choice) -> str:
    """Who suggests all of it. Raises Conflict where a value that is to be applied is none of those suggested."""
    suggested = {one.subject: one for one in triage.suggestions}
    for subject, value in choice.values().items():
        found = suggested.get(subject)
        if found is None or not {*map(folded, each(value))} <= {*map(folded, each(found.value))}:
            raise Conflict(
                f"{subject}: {', '.join(each(value))} is not suggested now; read the suggestions again, or "
                "change the field itself."
            )
    return " and ".join(dict.fromkeys(suggested[subject].by for subject in choice.values()))


def apply(desk: Desk, choice: Choice, by: str, if_version: Versions) -> Edit:
    """Do what was suggested, as an agent's own change. Raises NotAllowed at once."""
    desk.caller.must_be(Role.AGENT)

    def edit(ticket: Ticket) -> Written | None:
        desk.may_change(ticket, if_version)
        values: dict[str, Any] = {str(subject): value for subject, value in choice.values().items()}
        if "tags" in values:
            values["tags"] = each_once((*ticket.tags, *values["tags"]))
            if len(values["tags"]) > MOST_TAGS:
                raise Conflict(f"The ticket would have more than {MOST_TAGS} tags; remove some first.")
        if all(getattr(ticket, name) == value for name, value in values.items()):
            return None
        settled = desk.setup.settled(ticket, values, new=False)
        return desk.written(ticket, "triaged", settled, {"assistant": (None, by)})

    return edit


# ---- How it is kept --------------------------------------------------------------------------------------------------


def to_body(triage: Triage) -> dict[str, Any]:
    """As a record keeps it. Of neighbours only which they are: what they say is read anew when it is shown."""
    body = asdict(triage)
    body["neighbours"] = [[one.source, one.id, one.similarity] for one in triage.neighbours]
    return body


def from_body(body: Mapping[str, Any]) -> Triage:
    """The same without its neighbours."""
    suggestions = tuple(
        replace(
            Suggestion(**one),
            subject=Subject(one["subject"]),
            value=one["value"] if isinstance(one["value"], str) else tuple(one["value"]),
            evidence=tuple(one["evidence"]),
        )
        for one in body["suggestions"]
    )
    return Triage(**{**body, "teams": tuple(body["teams"]), "suggestions": suggestions, "neighbours": ()})


def kept_neighbours(body: Mapping[str, Any]) -> list[tuple[Source, str, float]]:
    """Which they were, and how near."""
    return [(Source(source), one, similarity) for source, one, similarity in body["neighbours"]]


def reread(triage: Triage, asked: Question) -> Triage:
    """As it stands now: what may still be used, and of the evidence what the reader may see."""
    found = (_understood(asked, asdict(one), one.by) for one in triage.suggestions)
    return replace(triage, suggestions=tuple(one for one in found if one), neighbours=asked.neighbours)
