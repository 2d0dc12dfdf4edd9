"""What a process remembers of what administrators set up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.domain.people import People
from backend.domain.setup import Setup


@dataclass(slots=True)
class Kept:
    """What administrators set up as this process read it last, and until when on the monotonic clock that is good."""

    setup: Setup = field(default_factory=Setup)
    good_until: float = 0.0
    people: People = field(default_factory=People)
    people_good_until: float = 0.0
    token_names: Mapping[str, str] = field(default_factory=dict)
