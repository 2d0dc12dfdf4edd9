"""Renaming a category, a team or a tag, which carries along whatever has the old name. To one there is, it merges."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.access import Caller
from backend.domain.labels import Label, LabelKind, Spelling, spelling
from backend.domain.text import folded
from backend.domain.tickets import Ticket, Written, differences, event
from backend.domain.values import Instant, Tag
from backend.errors import Unprocessable


class RenameDraft(BaseModel):
    """What an administrator says of a tag that is to be called otherwise."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        json_schema_extra={"examples": [{"from": "vpn", "to": "VPN access"}]},
    )

    old: Tag = Field(alias="from", description="the tag, however it is spelled")
    new: Tag = Field(alias="to", description="what it is called from now on; where there is such a tag, the two merge")


class RecordMergeDraft(BaseModel):
    """Which other category or team goes on in place of one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"into": "01M82WN1MF4T9XV22B24PC6B8F"}]}
    )

    into: str = Field(max_length=100, description="the id of the one that stays")


def label_of(kind: LabelKind, name: str, field: str) -> Spelling:
    """The label of a name. Raises Unprocessable for a tag that names a ticket elsewhere."""
    found = spelling(kind, name)
    if found is None:
        raise Unprocessable(
            "A tag that names a ticket in another system can't be renamed, nor can another become one.",
            [(field, "must not begin with external:")],
        )
    return found


def must_be_used(kind: LabelKind, old: str, new: str, known: Spelling | None) -> None:
    """Raises Unprocessable where there is no such label, or it is called so already."""
    if known is None:
        raise Unprocessable(f"There is no {kind} {old}.", [("from", f"is no {kind} that was ever used")])
    if known.is_former:
        raise Unprocessable(
            f"The {kind} {old} has been renamed; it is {known.name} now.", [("from", f"is {known.name} now")]
        )
    if known.name == new:
        raise Unprocessable(f"The {kind} is called {new} already.", [("to", "is the name it has")])


def united(known: Mapping[Label, Spelling], old: Spelling, new: Spelling) -> list[Spelling]:
    """How labels are spelled from now on, so that whoever asks for any of the names finds all, and whoever gives one
    gives the new one. A new name that was given up before is taken from whatever has it now."""
    kind = new.label.kind
    former, there = known.get(old.label, old), known.get(new.label, new)
    apart: list[Spelling] = []
    if there.is_former and new.name not in former.every():
        apart, there = parted(there), new
    names = list(dict.fromkeys([new.name, *former.every(), old.name, *there.every()]))
    others = tuple(names[1:])
    labels = dict.fromkeys(Label(kind, folded(name)) for name in names)
    return [*apart, *(Spelling(label, new.name, others) for label in labels)]


def parted(former: Spelling) -> list[Spelling]:
    """How the label that has a given-up name, and its other names, are spelled without it."""
    label = former.label
    others = tuple(name for name in former.others if folded(name) != label.fold)
    labels = dict.fromkeys(Label(label.kind, folded(name)) for name in (former.name, *others))
    return [Spelling(one, former.name, others) for one in labels]


def renamed(names: Collection[str], old: Collection[str], new: str) -> tuple[str, ...]:
    """The names, where one of the old ones is the new one; each once."""
    return tuple(dict.fromkeys(new if name in old else name for name in names))


def relabelled(kind: LabelKind, thing: Any, old: Collection[str], new: str) -> dict[str, Any]:
    """The fields of a ticket or memory that change."""
    if kind is LabelKind.TAG:
        tags = renamed(thing.tags, old, new)
        return {} if tags == thing.tags else {"tags": tags}
    return {kind.value: new} if getattr(thing, kind.value) in old else {}


def relabel(
    kind: LabelKind, ticket: Ticket, old: Collection[str], new: str, caller: Caller, at: Instant
) -> Written | None:
    """The ticket under the new name, as the administrator's change; its time of change stays, so that lists do."""
    values = relabelled(kind, ticket, old, new)
    if not values:
        return None
    after = ticket._replace(**values, version=ticket.version + 1)
    return after, event(caller, ticket.id, at, "changed", differences(ticket, after))


def in_view(kind: LabelKind, body: Mapping[str, Any], old: Collection[str], new: str) -> dict[str, Any]:
    """A saved view's content with the new name in its filters."""
    query = body["query"]
    if kind.value not in query:
        return dict(body)
    return {**body, "query": {**query, kind.value: list(renamed(query[kind.value], old, new))}}
