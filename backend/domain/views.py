"""Saved views: a question to the list of tickets, under a name."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import ConfigDict, Field, field_validator

from backend.domain.catalogue import RecordDraft
from backend.domain.pages import TicketQuestion
from backend.domain.text import folded
from backend.domain.values import Name


class ViewDraft(RecordDraft):
    """What an agent says of a view."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Urgent and open", "shared": True, "query": {"status": ["open"], "severity": ["critical"]}}
            ]
        }
    )

    name: Name
    shared: bool = Field(
        default=False, description="whether other agents see it too; what they find is what they may see"
    )
    query: TicketQuestion = Field(description="the list's filters, `q` and `sort`")

    @field_validator("query")
    @classmethod
    def _makes_sense(cls, query: TicketQuestion) -> TicketQuestion:
        problem = query.contradiction()
        if problem:
            raise ValueError(problem)
        return query

    def label(self) -> str:
        """See RecordDraft."""
        return folded(self.name)

    def content(self) -> dict[str, Any]:
        """With only what the question names, and its address."""
        query = self.query.model_dump(mode="json", exclude_defaults=True)
        return {"name": self.name, "shared": self.shared, "query": query}


def list_address(query: Mapping[str, Any]) -> str:
    """Where the list is that a view's question asks for."""
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    return f"/api/tickets?{urlencode(words, doseq=True)}" if words else "/api/tickets"
