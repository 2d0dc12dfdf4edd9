"""Administration: what is promised for each severity, and when work is done."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Record
from backend.domain.sla import WEEKDAYS, SlaDraft
from backend.domain.tickets import Severity
from backend.errors import RequestError, Unprocessable
from backend.ports import Ports
from backend.usecases import records
from backend.web.pages import conflicts, posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_KINDS = ("first_response_minutes", "resolution_minutes")
_NAMES = ("time_zone", "holidays", *WEEKDAYS, *(f"{severity}-{kind}" for severity in Severity for kind in _KINDS))


@router_.get("/admin/sla")
async def promises(request: Request) -> Response:
    """The promises."""
    ports, caller = await entered(request)
    return await _page(request, ports, caller)


@router_.post("/admin/sla")
async def change(request: Request) -> Response:
    """Promise something else from now on."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    try:
        await _set(ports, caller, fields)
    except (RequestError, ValidationError) as problem:
        theirs = conflicts.theirs_of(problem)
        return await _page(request, ports, caller, *told(problem), typed=fields, theirs=theirs)
    return go("/admin/sla")


async def _set(ports: Ports, caller: Caller, fields: Fields) -> None:
    """What others changed meanwhile stays; what both changed is to be chosen."""
    caller.must_be(Role.ADMIN)

    async def attempt() -> None:
        kept = await records.find_sla(ports)
        both = conflicts.merged(fields, dict.fromkeys(_NAMES, "") | _from_draft(_draft_of(kept)))
        draft = SlaDraft.model_validate(_values(Fields([*both.values.items()])))
        await records.set_sla(ports, caller, draft, [kept.version if kept else 0])

    if conflicts.is_merged(fields):
        await conflicts.until_current(attempt)
    else:
        await records.set_sla(ports, caller, SlaDraft.model_validate(_values(fields)), fields.versions())


def _draft_of(kept: Record | None) -> SlaDraft | None:
    return SlaDraft.model_validate(kept.body) if kept else None


def _values(fields: Fields) -> dict[str, Any]:
    promised: dict[str, dict[str, int]] = {}
    for severity in Severity:
        for kind in _KINDS:
            minutes = _minutes(fields.one(f"{severity}-{kind}"))
            if minutes is not None:
                promised.setdefault(severity, {})[kind] = minutes
    return {
        "time_zone": fields.one("time_zone").strip(),
        "hours": {day: fields.words(day) for day in WEEKDAYS},
        "holidays": [_day(word) for word in fields.one("holidays").replace(",", " ").split()],
        "promises": promised,
    }


def _day(word: str) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise Unprocessable("A holiday is no date.", [("holidays", f"{word[:20]} must look like 2026-12-25")]) from None


def _minutes(text: str) -> int | None:
    """`90`, `4h`, `2d` (of eight hours) as minutes; None for nothing."""
    text = text.strip().lower().replace(" ", "")
    if not text:
        return None
    unit = {"h": 60, "d": 480}.get(text[-1:], 1)
    number = text.rstrip("mhd") if text[-1:] in "mhd" else text
    if not (number.isascii() and number.isdigit() and len(number) < 8):
        raise Unprocessable("A promise is no time.", [("promises", f"{text[:20]} must look like 30, 4h or 2d")])
    return int(number) * unit


async def _page(
    request: Request,
    ports: Ports,
    caller: Caller,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    typed: Fields | None = None,
    theirs: Mapping[str, str] | None = None,
) -> Response:
    caller.must_be(Role.ADMIN)
    kept = await records.find_sla(ports)
    was = dict.fromkeys(_NAMES, "") | _from_draft(_draft_of(kept))
    return await show(
        request,
        caller,
        "sla.html",
        status,
        values=_from_form(conflicts.rebased(typed, was)) if typed else was,
        was=was,
        theirs=theirs or {},
        version=kept.version if kept else 0,
        weekdays=WEEKDAYS,
        worst_first=list(reversed(Severity)),
        line=line,
        problems=problems,
    )


def _from_form(typed: Fields) -> dict[str, str]:
    return dict(typed.items())


def _from_draft(draft: SlaDraft | None) -> dict[str, str]:
    """What the inputs of the form begin with."""
    if draft is None:
        usual = dict.fromkeys(WEEKDAYS[:5], "09:00-17:00")
        return {"time_zone": "UTC", **usual}
    found = {"time_zone": draft.time_zone, "holidays": " ".join(day.isoformat() for day in draft.holidays)}
    found |= {day: ", ".join(getattr(draft.hours, day)) for day in WEEKDAYS}
    for severity, promise in draft.promises.items():
        found |= {f"{severity}-{kind}": str(getattr(promise, kind) or "") for kind in _KINDS}
    return found
