"""Views: lists that can be gone to with one click, those of the house and those that somebody saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from backend.domain.access import Caller, Role
from backend.domain.collections import VIEWS
from backend.ports import Ports
from backend.usecases import records


@dataclass(frozen=True, slots=True)
class View:
    """A name, and the end of the queue's address. `id` is a saved one's; `own` says whether the caller may drop it."""

    name: str
    query: str
    id: str = ""
    own: bool = False
    shared: bool = False


async def all_of(ports: Ports, caller: Caller) -> list[View]:
    """Those of the house, then the saved ones."""
    if not caller.is_at_least(Role.AGENT):
        return [View("Open", ""), View("All", "status=any")]
    mine, watched = urlencode({"assignee": caller.address}), urlencode({"watcher": caller.address})
    house = [
        View("Open", ""),
        View("Mine", mine),
        View("Unassigned", "q=is%3Aopen+is%3Aunassigned"),
        View("Watching", watched),
        View("Urgent", "severity=critical%2Chigh"),
        View("Overdue", "overdue=true"),
        View("Due first", "sort=due_at"),
        View("Waiting", "status=waiting"),
        View("Resolved", "status=resolved&sort=-updated_at"),
        View("All", "status=any"),
        View("Trash", "deleted=true&status=any"),
    ]
    saved = [
        View(
            str(record.body["name"]),
            _address(record.body["query"]),
            record.id,
            record.is_of(caller) or caller.is_at_least(Role.ADMIN),
            bool(record.body.get("shared")),
        )
        for record in await records.list_records(ports, caller, VIEWS)
    ]
    return house + sorted(saved, key=lambda view: view.name.casefold())


def _address(query: Mapping[str, Any]) -> str:
    """A saved question as the queue's page asks it."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if name in ("status", "severity"):
            pairs.append((name, ",".join(value)))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            pairs += [(name, str(one)) for one in value]
        else:
            pairs.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    if "status" not in query:
        pairs.append(("status", "any"))
    return urlencode(pairs)
