"""How it goes: what came and went, what is left, how long it took, and whether promises were kept."""

from fastapi import Request
from starlette.responses import Response

from backend.domain.figures import Figures, Kept
from backend.domain.tickets import Severity
from backend.usecases import figures, people
from backend.web.pages import plots
from backend.web.pages.clocks import clock_of
from backend.web.pages.rendering import show
from backend.web.pages.routes import entered, router

router_ = router()

PERIODS = (7, 30, 90, 365)


@router_.get("/dashboard")
async def dashboard(request: Request) -> Response:
    """The figures of the last so many days."""
    ports, caller = await entered(request)
    asked = request.query_params.get("days", "")
    days = next((period for period in PERIODS if str(period) == asked), 30)
    _, found = await figures.get_figures(ports, caller, days, clock_of(request).zone.key)
    dates = [day.date for day in found.days]
    opened, resolved = [day.opened for day in found.days], [day.resolved for day in found.days]
    return await show(
        request,
        caller,
        "dashboard.html",
        figures=found,
        names=await people.names(ports),
        days=days,
        periods=PERIODS,
        flow=plots.pairs(dates, opened, resolved, ("opened", "resolved")),
        left=plots.course(dates, [day.backlog for day in found.days]),
        opened=sum(opened),
        resolved=sum(resolved),
        backlog=_by_severity(found),
        share=share,
        lasting=lasting,
    )


def _by_severity(found: Figures) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Each severity, the worst first, with how many are open and in which states."""
    rows = []
    for severity in reversed(Severity):
        states = [(one.status, one.count) for one in found.backlog if one.severity == severity]
        rows.append((severity.value, sum(count for _, count in states), states))
    return rows


def share(promises: Kept) -> int | None:
    """How many of a hundred were kept; never a hundred where one was broken."""
    total = promises.kept + promises.broken
    return promises.kept * 100 // total if total else None


def lasting(seconds: float | None) -> str:
    """A span of time in two units at most."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under 1 min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 and hours < 240 else f"{hours // 24} d"
