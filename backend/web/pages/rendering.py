"""Templates, the words and signs they use, and the headers that every page carries."""

import gzip
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backend.domain import sla
from backend.domain.access import Caller, Role
from backend.domain.tickets import ACTIVE, TRANSITIONS, Severity, Status
from backend.domain.values import LONGEST_PROSE
from backend.web.aside import aside
from backend.web.pages import conflicts, statics, text
from backend.web.pages.clocks import clock_of
from backend.web.prepared import takes_gzip

_TEMPLATES = Path(__file__).parents[1] / "templates"
_WORTH_PACKING = 1_400  # one packet
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "private, no-cache",
    "vary": "accept-encoding, cookie",
}
_HUES = 8
LONG = timedelta(days=30)


async def show(request: Request, caller: Caller | None, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page."""
    return await show_long(request, caller, template, 0, values, status)


async def show_long(
    request: Request, caller: Caller | None, template: str, length: int, values: Mapping[str, Any], status: int = 200
) -> Response:
    """A page with texts of this length together, in characters. Raises Unavailable where too many such pages wait."""
    clock = clock_of(request)
    known = {
        "caller": caller,
        "is_agent": caller is not None and caller.is_at_least(Role.AGENT),
        "is_admin": caller is not None and caller.is_at_least(Role.ADMIN),
        "path": request.url.path,
        "zone": clock.zone,
        "zone_known": clock.known,
    }
    packs = takes_gzip(request)
    body, packed = await aside(length, _rendered, template, {**values, **known}, packs)
    return HTMLResponse(body, status, _HEADERS | {"content-encoding": "gzip"} if packed else _HEADERS)


def _rendered(template: str, values: Mapping[str, Any], packs: bool) -> tuple[bytes, bool]:
    """The page's bytes, and whether they are packed."""
    body = _environment().get_template(template).render(values).encode("utf-8", "replace")
    if packs and len(body) > _WORTH_PACKING:
        return gzip.compress(body, 1, mtime=0), True
    return body, False


def go(path: str, headers: Mapping[str, str] | None = None) -> Response:
    """On to another page after a form was taken (303, so that a reload sends nothing again)."""
    return RedirectResponse(path, 303, {"cache-control": "no-store", **(headers or {})})


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.filters |= {
        "rich": _rich_here,
        "markdown": text.markdown,
        "is_long": text.is_long,
        "plain": text.plain,
        "time": _time_here,
        "deadline": sla.next_deadline,
        "label": label,
        "size": size,
        "initials": initials,
        "hue": hue,
        "word": word,
        "who": who,
        "seen": conflicts.seen,
    }
    made.globals |= {
        "asset": statics.url_of,
        "severities": list(Severity),
        "statuses": list(Status),
        "active": ACTIVE,
        "longest_prose": LONGEST_PROSE,
        "transitions": TRANSITIONS,
    }
    return made


@pass_context
def _rich_here(context: Context, typed: str) -> Markup:
    return text.rich(typed, context.get("mentioned") or {})


@pass_context
def _time_here(context: Context, moment: str | None, **named: Any) -> Markup:
    return time(moment, zone=context.get("zone") if context.get("zone_known") else None, **named)


def time(moment: str | None, *, promise: sla.Deadline | None = None, zone: tzinfo | None = None) -> Markup:
    """`<time>` with how long ago (or ahead) it is; the script keeps it fresh, and the title has it exactly.

    Of a promise it says how late it is. Where the reader's zone is not known, it is UTC and says so.
    """
    if not moment:
        return Markup("")
    then, at = datetime.fromisoformat(moment).astimezone(zone or UTC), datetime.now(zone or UTC)
    exact = f"{then.day} {then:%b %Y, %H:%M}{'' if zone else ' UTC'}"
    away = lateness(promise, at - then) if promise and then < at else distance(then, at)
    return Markup(f'<time datetime="{escape(moment)}" title="{exact}">{away}</time>')  # noqa: S704 - no text of anybody's


def distance(then: datetime, at: datetime) -> str:
    """How far apart, in the largest unit that fits; from LONG on, the day. The script says the same."""
    away = abs(at - then)
    if away >= LONG:
        return day_of(then, at)
    amount = span(away)
    if not amount:
        return "just now" if at >= then else "in a moment"
    return f"{amount} ago" if at > then else f"in {amount}"


def day_of(then: datetime, at: datetime) -> str:
    """`18 Jan`, with the year if it is another one."""
    return f"{then.day} {then:%b}" if then.year == at.year else f"{then.day} {then:%b %Y}"


def span(length: timedelta) -> str:
    """In the largest unit that fits; nothing where it is less than a minute."""
    for unit, size_ in (("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if length.total_seconds() >= size_:
            return f"{int(length.total_seconds() // size_)} {unit}"
    return ""


def label(deadline: sla.Deadline, now: str) -> str:
    """What stands before the time of a promise."""
    if deadline.first_answer:
        return "first answer"
    return "overdue" if deadline.at < now else "due"


def lateness(deadline: sla.Deadline, by: timedelta) -> str:
    """What follows the label of a promise that is broken."""
    amount = span(by)
    if deadline.first_answer:
        return f"{amount} late".lstrip()
    return f"by {amount}" if amount else "just now"


def size(count: int) -> str:
    """Bytes for people."""
    if count < 1_000:
        return f"{count} B"
    return f"{count / 1_000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def initials(name: str) -> str:
    """One or two letters that stand for a person."""
    words = [part for part in text.plain(name).partition("@")[0].replace(".", " ").split() if part]
    return "".join(part[0] for part in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def hue(name: str) -> int:
    """The same one of a few colours for the same name."""
    return zlib.crc32(name.encode("utf-8", "replace")) % _HUES


@pass_context
def who(context: Context, address: str) -> str:
    """Somebody, as people know them: a token without an address by its name, where the page knows it."""
    names: Mapping[str, str] = context.get("names") or {}
    return names.get(address, address)


def word(value: str) -> str:
    """`in_progress` as `In progress`."""
    return str(value).replace("_", " ").capitalize()
