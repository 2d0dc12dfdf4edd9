"""Work that is handed to whoever has time for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.domain.values import Instant, new_id

MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work. `body` is JSON-able and small: it names what to work on."""

    id: str
    kind: str
    body: Mapping[str, Any]
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Leased:
    """A job that is somebody's for a while. `lease` proves whose; `tries` counts this one too."""

    job: Job
    lease: str
    tries: int


class LeaseLost(Exception):
    """Somebody else has the job, and it is theirs to finish."""


def new_job(kind: str, at: Instant, **body: Any) -> Job:
    """A job that says this."""
    return Job(new_id(), kind, body, at)
