"""Everything that can go wrong on purpose. No HTTP here: `web/errors.py` maps each family to one status.

TicketBackendError
├── BadConfiguration          the environment is wrong: the start is refused, exit code 78
├── StorageRefused            this container's own storage can't be used: the start is refused, exit code 74
├── BackupRefused             a backup can't be taken, or is not what it should be: exit code 65
└── RequestError              what a caller is told
    ├── InvalidInput          400   the request makes no sense (cursor from elsewhere, empty file, broken form)
    ├── Unprocessable         422   understood, but a value is not allowed; also an Idempotency-Key used twice
    ├── NotSignedIn           401   no token, or one that is wrong or expired
    ├── NotAllowed            403   the role may not do this
    ├── NotFound              404   absent, or none of the caller's business
    ├── Conflict              409   the state does not allow it
    ├── PreconditionFailed    412   somebody else was faster (If-Match)
    ├── TooLarge              413   over a limit, which the message names
    ├── UnsupportedType       415   the content is not what it claims to be
    ├── TooManyRequests       429   over a rate, or too many wrong tokens; says when to try again
    └── Unavailable           503   a store can't be reached or written; raised by adapters only
        ├── NoSpace           507   only the reserve of the volume is left
        ├── Uncertain         503   and nobody knows whether the write took effect
        ├── Overdue           503   a read took longer than it may
        └── ClientGone        503   a read that nobody waits for any more
"""

from collections.abc import Sequence


class TicketBackendError(Exception):
    """Base of all of them; `str(error)` is one line for a person."""


class BadConfiguration(TicketBackendError):
    """A setting is missing or malformed."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class StorageRefused(TicketBackendError):
    """The database or a state directory can't be used as it is."""

    exit_code = 74  # EX_IOERR of sysexits.h


class BackupRefused(TicketBackendError):
    """A backup can't be taken, verified or restored."""

    exit_code = 65  # EX_DATAERR of sysexits.h


class RequestError(TicketBackendError):
    """A request that can't be carried out."""


class InvalidInput(RequestError):
    """The request makes no sense."""


class Unprocessable(RequestError):
    """A value is not allowed. `problems` are (field, message) pairs."""

    def __init__(self, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class NotSignedIn(RequestError):
    """No valid token came with the request."""


class NotAllowed(RequestError):
    """The caller's role does not allow this."""


class NotFound(RequestError):
    """There is no such thing, as far as this caller may know."""


class Conflict(RequestError):
    """The present state does not allow this."""


class PreconditionFailed(RequestError):
    """The version the caller named is no longer the current one."""


class TooLarge(RequestError):
    """Over a limit."""


class UnsupportedType(RequestError):
    """The content is of another type than allowed or claimed."""


class TooManyRequests(RequestError):
    """Asked too often. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(RequestError):
    """A store can't be reached or written right now."""


class NoSpace(Unavailable):
    """Nothing new can be kept: only the reserve of the volume is left."""


class Uncertain(Unavailable):
    """The store took a write and did not answer: it may have taken effect, or do so yet."""


class Overdue(Unavailable):
    """A read was stopped at its deadline. `seconds`: how long it had."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"This took longer than {seconds:g} s and was stopped; ask for less, or try again later.")


class ClientGone(Unavailable):
    """A read was stopped since its client has hung up; there is nobody to read this."""

    def __init__(self) -> None:
        super().__init__("The client has gone.")


class TicketNotFound(NotFound):
    """No ticket with this id that the caller may see."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__(f"There is no ticket {ticket_id}.")


class AttachmentNotFound(NotFound):
    """No attachment with this id on this ticket."""

    def __init__(self, attachment_id: str) -> None:
        super().__init__(f"There is no attachment {attachment_id} on this ticket.")


class MemoryNotFound(NotFound):
    """No memory with this id."""

    def __init__(self, memory_id: str) -> None:
        super().__init__(f"There is no memory {memory_id}.")


class TokenNotFound(NotFound):
    """No token with this id."""

    def __init__(self, token_id: str) -> None:
        super().__init__(f"There is no token {token_id}.")


class RecordNotFound(NotFound):
    """No such category, view or the like."""

    def __init__(self, kind: str, record_id: str) -> None:
        super().__init__(f"There is no {kind} {record_id}.")


class LinkNotFound(NotFound):
    """Nothing ties the two tickets."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__(f"Nothing links this ticket to {ticket_id}.")


class BulkRefused(Conflict):
    """Some of many can't be changed, and so none was. `problems` are (item, message) pairs."""

    def __init__(self, message: str, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class InvalidCursor(InvalidInput):
    """A cursor that this list did not hand out."""

    def __init__(self) -> None:
        super().__init__(
            "cursor: not one that this list handed out; take next_cursor from the answer to the same query."
        )
