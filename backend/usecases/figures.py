"""What the figures are."""

from backend.domain.access import Caller, Role
from backend.domain.figures import Figures, Period, period
from backend.ports import Ports
from backend.usecases import labels


async def get_figures(ports: Ports, caller: Caller, days: int, zone: str) -> tuple[Period, Figures]:
    """The last so many days, of the tickets that the caller may see. For agents. Raises Unprocessable."""
    caller.must_be(Role.AGENT)
    asked = period(days, zone, ports.now(), await labels.every_team(ports, caller.teams))
    return asked, await ports.tickets.figures(asked)
