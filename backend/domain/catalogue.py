"""Small things that people set up, such as categories, canned replies or views, and the audit of such acts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.domain.access import Caller
from backend.domain.addresses import normal
from backend.domain.values import Instant, new_id
from backend.errors import Conflict


class Kind(StrEnum):
    """What a record is."""

    CATEGORY = "category"
    TEAM = "team"
    REPLY = "reply"
    VIEW = "view"
    SLA = "sla"
    WEBHOOK = "webhook"
    IMPORT = "import"
    TRIAGE = "triage"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Record:
    """One of them. `body` is JSON-able and means what its kind says; `version` is its ETag."""

    kind: Kind
    id: str
    owner: str | None
    body: Mapping[str, Any]
    version: int
    created_at: Instant
    updated_at: Instant
    label: str | None = None
    """What no other record of its kind may have, such as a folded name."""

    @property
    def called(self) -> str:
        """Its kind and its name, as people know it."""
        return f"{self.kind} {self.body.get('name') or self.body.get('title') or self.id}"

    def is_of(self, caller: Caller) -> bool:
        """Whether it is the caller's own. Earlier versions kept owners as their address was spelled."""
        return self.owner is not None and normal(self.owner) == caller.address

    def with_body(self, body: Mapping[str, Any], at: Instant, label: str | None = None) -> "Record":
        """The next version, which says this."""
        return replace(self, body=body, version=self.version + 1, updated_at=at, label=label)


def name_taken(record: Record) -> Conflict:
    """Another record of its kind has its label."""
    name = record.body.get("name") or record.body.get("title")
    return Conflict(f"There is already a {record.kind} called {name}.")


def new_record(
    kind: Kind,
    body: Mapping[str, Any],
    at: Instant,
    *,
    owner: str | None = None,
    record_id: str | None = None,
    label: str | None = None,
) -> Record:
    """A first version, under a new id unless one is given."""
    return Record(kind, record_id or new_id(), owner, body, 1, at, at, label)


class RecordDraft(BaseModel):
    """What a person says of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def label(self) -> str:
        """What no other record of its kind may have."""
        raise NotImplementedError

    def content(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, slots=True)
class Act:
    """One administrative act, for the audit log. `details` never hold a secret."""

    id: str
    at: Instant
    actor: str
    token_id: str
    action: str
    target: str
    details: Mapping[str, Any] = field(default_factory=dict)


def lock_out(address: str, at: Instant, seconds: int) -> Act:
    """Nobody in particular guessed too often from this address, which may try no new token for so long."""
    return Act(new_id(), at, NOBODY, "", LOCKED_OUT, address, {"seconds": seconds})


NOBODY = "nobody"
LOCKED_OUT = "address.locked_out"


def act(caller: Caller, at: Instant, action: str, target: str, **details: Any) -> Act:
    """This caller did `action`, such as `token.created`, to `target`, such as an id."""
    return Act(new_id(), at, caller.name, caller.token_id, action, target, details)
