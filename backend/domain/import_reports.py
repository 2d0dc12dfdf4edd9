"""What became of a table's rows: how many, and what was wrong with or done to them, each thing once with its count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.domain.tickets import Written

Remarks = Sequence[tuple[str, str]]
"""(field, what there is to say of it)."""
MOST_TOLD = 200
_OTHERS = "something else"


class Outcome(NamedTuple):
    """What a row becomes: a ticket, and what had to be done to it; or none, and what is wrong."""

    written: Written | None
    problems: Remarks = ()
    notes: Remarks = ()
    left_out: str | None = None  # an assignee whom nobody here is
    files: Sequence[tuple[str, str]] = ()
    """Name and text of what the ticket could not hold."""


@dataclass(slots=True)
class Report:
    """Counts of rows. The same rows give the same report, in whatever portions they are counted."""

    read: int = 0
    made: int = 0
    refused: int = 0
    told: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def take(self, outcome: Outcome) -> None:
        """One more row."""
        self.read += 1
        self.made += outcome.written is not None
        self.refused += outcome.written is None
        for kind, remarks in (("problem", outcome.problems), ("note", outcome.notes)):
            for name, message in dict.fromkeys(remarks):
                self._tell(kind, str(name), message, 1)

    def add(self, facts: Mapping[str, Any]) -> None:
        """Rows that were counted elsewhere, as `facts` has them."""
        self.read += facts["read"]
        self.made += facts["made"]
        self.refused += facts["refused"]
        for kind, name, message, rows in facts.get("told", ()):
            self._tell(kind, name, message, rows)

    def _tell(self, kind: str, name: str, message: str, rows: int) -> None:
        key = (kind, name, message)
        if key not in self.told and len(self.told) >= MOST_TOLD:
            key = (kind, name, _OTHERS)
        self.told[key] = self.told.get(key, 0) + rows

    def facts(self) -> dict[str, Any]:
        """It as JSON has it."""
        told = [[*key, rows] for key, rows in self.told.items()]
        return {"read": self.read, "made": self.made, "refused": self.refused, "told": told}


def report_body(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A report for people, the most frequent things first."""
    told: Iterable[Sequence[Any]] = sorted(facts.get("told", ()), key=lambda one: (-one[3], *one[:3]))
    lists: dict[str, list[dict[str, Any]]] = {"problem": [], "note": []}
    for kind, name, message, rows in told:
        lists[kind].append({"field": name, "message": message, "rows": rows})
    return {
        "rows_read": facts["read"],
        "tickets_made": facts["made"],
        "rows_refused": facts["refused"],
        "problems": lists["problem"],
        "notes": lists["note"],
    }
