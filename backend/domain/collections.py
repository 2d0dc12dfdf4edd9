"""The kinds of records that people keep lists of, and who may read and change each."""

from dataclasses import dataclass

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, Record, RecordDraft
from backend.domain.replies import ReplyDraft
from backend.domain.setup import CategoryDraft, TeamDraft
from backend.domain.views import ViewDraft
from backend.errors import NotAllowed, RecordNotFound


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind. A personal one has owners: others see a record only where it is shared, and only admins change it."""

    kind: Kind
    name: str
    draft: type[RecordDraft]
    readers: Role
    writers: Role
    personal: bool = False
    most: int = 500
    """How many there may be; of a personal one, how many each owner may have."""

    def owner(self, caller: Caller) -> str | None:
        """Whose a new record is."""
        return caller.address if self.personal else None

    def label(self, draft: RecordDraft, owner: str | None) -> str:
        """What no other record may have: of a personal one, no other of its owner."""
        return f"{owner}\n{draft.label()}" if owner else draft.label()

    def may_see(self, caller: Caller, record: Record) -> bool:
        """Whether the record exists for the caller."""
        return record.owner is None or record.is_of(caller) or record.body.get("shared") is True

    def must_see(self, caller: Caller, record: Record) -> None:
        """Raises RecordNotFound: absent and forbidden look the same. Administrators may know of every one."""
        if not self.may_see(caller, record) and not caller.is_at_least(Role.ADMIN):
            raise RecordNotFound(record.kind, record.id)

    def must_own(self, caller: Caller, record: Record) -> None:
        """Raises RecordNotFound, NotAllowed."""
        self.must_see(caller, record)
        if record.owner is not None and not record.is_of(caller) and not caller.is_at_least(Role.ADMIN):
            raise NotAllowed(f"This {record.kind} is {record.owner}'s; only they and administrators may change it.")


CATEGORIES = Collection(Kind.CATEGORY, "categories", CategoryDraft, Role.REQUESTER, Role.ADMIN)
TEAMS = Collection(Kind.TEAM, "teams", TeamDraft, Role.REQUESTER, Role.ADMIN)
REPLIES = Collection(Kind.REPLY, "replies", ReplyDraft, Role.AGENT, Role.AGENT)
VIEWS = Collection(Kind.VIEW, "views", ViewDraft, Role.AGENT, Role.AGENT, personal=True, most=100)
