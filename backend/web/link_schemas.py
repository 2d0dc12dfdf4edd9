"""The shapes of what ties tickets."""

from pydantic import BaseModel, ConfigDict

from backend.domain.tickets import LinkKind


class LinkOut(BaseModel):
    """A tie to another ticket."""

    model_config = ConfigDict(extra="forbid")

    kind: LinkKind
    ticket_id: str


class ParticipantOut(BaseModel):
    """Somebody whose ticket was merged into this one, and that ticket."""

    model_config = ConfigDict(extra="forbid")

    ticket_id: str
    address: str


class GoesOnOut(BaseModel):
    """The ticket that goes on in place of a merged one."""

    model_config = ConfigDict(extra="forbid")

    id: str
    number: int
    title: str
