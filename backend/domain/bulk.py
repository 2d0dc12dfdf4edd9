"""The same change to many tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from backend.domain import edits
from backend.domain.edits import Desk, Versions
from backend.domain.tickets import Edit, ResolutionDraft, Ticket, TicketChange
from backend.errors import RequestError

MOST_TICKETS = 50

_Id = Annotated[str, StringConstraints(max_length=64)]


class Action(StrEnum):
    """What is done to each."""

    CHANGE = "change"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    DELETE = "delete"
    RESTORE = "restore"


class Mode(StrEnum):
    """What happens to the others where one fails."""

    ALL = "all"
    EACH = "each"


class BulkItem(BaseModel):
    """One ticket, and the version that the change is meant for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Id
    version: int | None = Field(default=None, description="as If-Match: where it is another by now, this one fails")

    def versions(self) -> Versions:
        """As edits take it."""
        return None if self.version is None else (self.version,)


class BulkDraft(BaseModel):
    """What is to be done to which tickets."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "tickets": [
                        {"id": "01KBX5Z9N0QW3E4R5T6Y7V8A9B", "version": 3},
                        {"id": "01KBX5ZA0YQW3E4R5T6Y7V8A9C"},
                    ],
                    "action": "change",
                    "change": {"assignee": "ada@example.org"},
                    "mode": "all",
                }
            ]
        },
    )

    tickets: Annotated[tuple[BulkItem, ...], Field(min_length=1, max_length=MOST_TICKETS)]
    action: Action
    change: TicketChange | None = Field(default=None, description="what changes, for `change`")
    resolution: ResolutionDraft | None = Field(default=None, description="how they were resolved, for `resolve`")
    mode: Mode = Field(
        default=Mode.ALL, description="`all`: if one fails, nothing changes; `each`: the others change all the same"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> "BulkDraft":
        ids = [item.id for item in self.tickets]
        repeated = sorted({one for one in ids if ids.count(one) > 1})
        if repeated:
            raise ValueError(f"tickets: named twice: {', '.join(repeated[:5])}")
        for action, name in ((Action.CHANGE, "change"), (Action.RESOLVE, "resolution")):
            if (getattr(self, name) is not None) != (self.action is action):
                needs = "needs" if self.action is action else "takes no"
                raise ValueError(f"{name}: the action {self.action} {needs} {name}")
        return self

    def edit(self, desk: Desk, item: BulkItem) -> Edit:
        """What is done to one of them. Raises NotAllowed."""
        versions = item.versions()
        if self.change is not None:
            return edits.change(desk, self.change, versions)
        if self.resolution is not None:
            return edits.resolve(desk, self.resolution, versions)
        by_action = {Action.REOPEN: edits.reopen, Action.DELETE: edits.delete, Action.RESTORE: edits.restore}
        return by_action[self.action](desk, versions)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of them: the ticket, or why not."""

    id: str
    ticket: Ticket | None = None
    problem: RequestError | None = None


Outcomes = Sequence[Outcome]
