"""Canned replies: texts with gaps that a ticket fills."""

import re
from collections.abc import Mapping

from pydantic import ConfigDict, Field

from backend.domain.access import Caller
from backend.domain.catalogue import RecordDraft
from backend.domain.text import folded
from backend.domain.tickets import Ticket
from backend.domain.values import Prose, Title

_gap = re.compile(r"\{\{\s*([a-z_]{1,30})\s*\}\}")


class ReplyDraft(RecordDraft):
    """What an agent says of a canned reply."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Turned off and on", "body": "Hello {{requester}}, please restart it. {{agent}}"}]
        }
    )

    title: Title
    body: Prose = Field(description="`{{number}} {{title}} {{requester}} {{agent}}` are filled in; others are left")

    def label(self) -> str:
        """See RecordDraft."""
        return folded(self.title)


def filled(body: str, ticket: Ticket, caller: Caller, names: Mapping[str, str]) -> str:
    """The text for this ticket, with `names` in place of the ids of tokens without an address.

    What is filled in is not looked through again: a title with a gap stays as it is.
    """
    values = {
        "number": str(ticket.number),
        "title": ticket.title,
        "requester": names.get(ticket.requester, ticket.requester),
        "agent": caller.name,
    }
    return _gap.sub(lambda gap: values.get(gap[1], gap[0]), body)
