"""An installation with something of everything, and all that can be asked of it: to hold a moved one against."""

import asyncio
import io
import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from backend.domain.values import now
from backend.domain.webhooks import later
from backend.main import create_app
from backend.settings import load_settings
from backend.usecases import exports, jobs, outbox
from tests.conftest import ADMIN_TOKEN, Client
from tests.targets import plain, target

NOW = later(now(), 60)  # where the clock stands still, on both sides
HERE = {"sec-fetch-site": "same-origin"}
LARGE = bytes(range(256)) * 12_000  # 3 MB
UNICODE = "Drücker 🖨️ druckt 漢字 – “nichts” ﬁ e\u0301"
TABLE = b"Title,Level\nfrom a table,low\nrefused,nonsense\nanother,high\n"
MAPPING = json.dumps({"columns": {"Title": "title", "Level": "severity"}})

# What a moved installation answers otherwise, and why; everything else must be the same to the byte.
OTHERWISE = {
    "/health": "names the adapters and how long they took",
    "/health/ready": "the same",
    "/metrics": "counts what this process has done",
    "/api/export": "its manifest names a position of the events; see `exported`",
    "/api/events": "positions start anew, ticket after ticket; see `events`",
    "next_cursor": "says where its own engine goes on; the pages are walked",
}

ASKING = ("nobody", "grace", "lin", "session", "admin")  # each role, an agent with teams, and one by a cookie

LISTS = (
    "limit=3",
    "sort=created_at",
    "sort=-updated_at",
    "sort=updated_at",
    "sort=-number",
    "sort=number",
    "sort=due_at",
    "status=open",
    "status=open,in_progress,merged",
    "severity=high,critical",
    "category=Hardware",
    "team=Netz",
    "assignee=ada@example.org",
    "requester=grace@example.org",
    "tag=%C3%BCber",
    "watcher=lin@example.org",
    "deleted=true",
    "overdue=true",
    "due_before=2100-01-01T00:00:00Z",
    "q=printer",
    "q=druckt+-tag:x",
    "q=%22blank+pages%22",
    "q=pri*",
    "q=status:open+severity:low,high",
)
SEARCHES = ("q=printer", "q=blank&kind=ticket", "q=note&kind=comment", "q=toner&kind=memory", "q=%E6%BC%A2%E5%AD%97")


@contextmanager
def application(environ: dict[str, str]) -> Iterator[FastAPI]:
    """The application on these stores, its worker at rest and its clock standing still once it is filled."""
    app = create_app(load_settings({**environ, "MAX_UPLOAD_SIZE_MB": "10", "WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8"}))
    object.__setattr__(app.state.ports, "now", lambda: NOW)
    app.state.ports.open()
    try:
        with start_blocking_portal() as app.state.portal:
            yield app
    finally:
        app.state.ports.close()


@dataclass(slots=True)
class People:
    """Who asks: their headers by what they are."""

    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def clients(self, app: FastAPI) -> dict[str, Client]:
        """A client for each."""
        made = {}
        for name, headers in self.headers.items():
            made[name] = Client(app, raise_server_exceptions=False)
            made[name].portal = app.state.portal  # one event loop for all: one for each request takes its time
            made[name].headers.update(headers)
        return made


def fill(app: FastAPI, tickets: int = 0) -> People:
    """Two of each kind at least, and so many plain tickets more."""
    object.__setattr__(app.state.ports, "now", now)
    people = People({"nobody": {}, "admin": _bearer(ADMIN_TOKEN)})
    admin = people.clients(app)["admin"]
    _set_up(admin)
    for role, name, more in (
        ("requester", "grace", {}),
        ("agent", "ada", {}),
        ("agent", "lin", {"teams": ["Netz"], "rate_limit": 100_000}),
        ("admin", "root", {"expires_at": "2030-01-01T00:00:00Z"}),
    ):
        draft = {"name": name.title(), "role": role, "email": f"{name}@example.org", **more}
        people.headers[name] = _bearer(_made(admin.post("/api/tokens", json=draft))["token"])
    by_name = people.clients(app)
    signed_in = by_name["nobody"].post("/api/session", json={"token": by_name["ada"].headers["authorization"][7:]})
    people.headers["session"] = {"cookie": f"ticket_session={_cookie(signed_in)}", **HERE}
    with target(plain(200)) as good, target(plain(410)) as gone:
        for url, more in ((good.url, {"internal": True}), (gone.url, {}), ("http://127.0.0.1:9/x", {"active": False})):
            _made(admin.post("/api/webhooks", json={"url": url, "description": UNICODE, **more}))
        _tickets(by_name)
        _work(app, outbox.fan_out, outbox.deliver)  # delivered, and dead
    _memories(by_name["ada"])
    _imports(app, admin)
    for n in range(tickets):
        by_name["ada"].ticket(title=f"Ticket {n}", tags=["many"])
    later_on = admin.post("/api/tickets", json=_draft("Pending"), headers={"idempotency-key": "k" * 20})
    assert later_on.status_code == 201
    _work(app, outbox.fan_out)  # pending
    by_name["grace"].ticket(title="No message yet")
    return people


def _set_up(admin: Client) -> None:
    for name in ("Netz", "Büro"):
        _made(admin.post("/api/teams", json={"name": name}))
    for name in ("Hardware", "Zugänge"):
        _made(admin.post("/api/categories", json={"name": name, "team": "Netz" if name == "Zugänge" else None}))
    hours = {"monday": ["08:00-12:00", "13:00-17:00"], "tuesday": ["08:00-17:00"]}
    promises = {"high": {"first_response_minutes": 30, "resolution_minutes": 60}}
    sla = {"time_zone": "Europe/Zurich", "hours": hours, "holidays": ["2026-08-01"], "promises": promises}
    assert admin.put("/api/sla", json=sla).status_code == 200
    for name in ("One", UNICODE):
        _made(admin.post("/api/replies", json={"title": name, "body": "Hello {{ticket.number}}"}))
        _made(admin.post("/api/views", json={"name": name, "shared": True, "query": {"status": ["open"], "q": "pri*"}}))


def _tickets(by_name: dict[str, Client]) -> None:
    ada, grace = by_name["ada"], by_name["grace"]
    first = grace.ticket(title=UNICODE, description="Blank pages from the printer\n" * 50, severity="high")
    second = grace.ticket(title="Printer again", severity="high")
    third = ada.ticket(category="Zugänge", tags=["über", "x"], requester="grace@example.org", team="Netz")
    fourth = ada.ticket(title="To the trash", severity="critical")
    path = f"/api/tickets/{first['id']}"
    for body, internal in (("A note", True), ("Blank? " * 2_000, False), ("x" * 20_000, False)):
        _made(ada.post(f"{path}/comments", json={"body": body, "internal": internal}))
    _made(grace.post(f"{path}/comments", json={"body": UNICODE}))
    note = {"data": {"body": "A note with a file", "internal": "true"}, "files": {"f": ("note ü.txt", b"of a note")}}
    _made(ada.post(f"{path}/comments", **note))
    assert ada.attach(first["id"], LARGE, "gröss.bin").status_code == 201
    assert grace.attach(first["id"], b"small", "a.txt").status_code == 201
    assert ada.attach(fourth["id"], b"in the trash").status_code == 201
    gone = ada.attach(first["id"], b"removed").json()["items"][0]["id"]
    assert ada.delete(f"{path}/attachments/{gone}").status_code == 204
    assert ada.post(f"/api/tickets/{second['id']}/merge", json={"into": first["id"]}).status_code == 200
    link = {"kind": "related", "ticket_id": third["id"]}
    assert ada.post(f"{path}/links", json=link).status_code == 200
    change = {"assignee": "ada@example.org", "watchers": ["lin@example.org"], "status": "in_progress"}
    assert ada.patch(path, json=change).status_code == 200
    assert ada.delete(f"/api/tickets/{fourth['id']}").status_code in (200, 204)
    for n in range(2):
        done = ada.ticket(title=f"Toner {n}")["id"]
        answer = ada.post(f"/api/tickets/{done}/resolve", json={"resolution": "New toner", "remember": True})
        assert answer.status_code == 200, answer.text
    assert ada.post(f"/api/tickets/{done}/reopen").status_code == 200
    assert ada.post(f"{path}/triage").status_code == 200
    changed = {"ids": [first["id"], third["id"]], "changes": {"severity": "low"}}
    assert ada.post("/api/tickets/bulk", json=changed).status_code in (200, 422)


def _memories(ada: Client) -> None:
    for title in ("Toner", UNICODE):
        made = _made(ada.post("/api/memories", json={"title": title, "body": f"Shake the toner {title}"}))
        for helpful in (True, False):
            assert ada.post(f"/api/memories/{made['id']}/feedback", json={"helpful": helpful}).status_code == 200


def _imports(app: FastAPI, admin: Client) -> None:
    """One that is done, with a refused row, and one that is under way."""
    for _ in range(2):
        answer = admin.post("/api/imports", data={"mapping": MAPPING}, files={"file": ("t.csv", TABLE)})
        assert answer.status_code in (201, 202), answer.text
        place = answer.headers["location"]
        if "done" not in json.dumps(admin.get("/api/imports").json()):
            finish_import(app, admin, place)


def finish_import(app: FastAPI, admin: Client, place: str) -> dict[str, Any]:
    """Do the work that waits until the import is over."""
    for _ in range(1_000):
        found = admin.get(place).json()
        if found["state"] == "done":
            return found
        asyncio.run(_until(app, 0.05))
    raise AssertionError(found)


async def _until(app: FastAPI, seconds: float) -> None:
    if not await jobs.work(app.state.ports):
        await asyncio.sleep(seconds)  # the job is put off by the store's own clock


def _work(app: FastAPI, *duties: Callable[..., Any]) -> None:
    async def all_of_it() -> None:
        for duty in duties:
            while await duty(app.state.ports):
                pass

    asyncio.run(all_of_it())


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _cookie(answer: Any) -> str:
    return SimpleCookie(answer.headers["set-cookie"])["ticket_session"].value


def _made(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _draft(title: str) -> dict[str, str]:
    return {"title": title, "description": "D", "severity": "low", "category": "Hardware"}


# ---- Asking -------------------------------------------------------------------------------------------------------


def answers(app: FastAPI, people: People) -> dict[str, Any]:
    """Every GET of the API, of each record and with each filter, by each person: what it answers."""
    clients = {name: client for name, client in people.clients(app).items() if name in ASKING}
    for client in clients.values():
        client.get("/api/tickets")  # the first use of this hour is noted
    paths = [path for path, ways in app.openapi()["paths"].items() if "get" in ways and path not in OTHERWISE]
    asked = [one for path in paths for one in _filled(clients["admin"], path)]
    asked += [f"/api/tickets?{query}" for query in LISTS] + [f"/api/search?{query}" for query in SEARCHES]
    asked += ["/api/search", "/api/memories?q=toner", "/api/stats?days=90", "/api/audit?action=token.created"]
    return {f"{name} {one}": _answer(client, one) for name, client in clients.items() for one in asked}


def _answer(client: Client, path: str) -> Any:
    answer = client.get(path)
    seen = [answer.status_code, answer.headers.get("etag"), answer.headers.get("content-type")]
    if answer.status_code != 200 or "json" not in seen[2] or "next_cursor" not in answer.json():
        return [*seen, re.sub(rb'"(request_id|instance)":"[^"]*"', b"", answer.content)]
    items = answer.json()["items"]
    while cursor := answer.json()["next_cursor"]:
        answer = client.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}")
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
    return [*seen, items]


def _filled(admin: Client, path: str) -> list[str]:
    """The path with every id there is, and one that nobody has."""
    found = [path]
    while "{" in found[0]:
        found = [filled for one in found for filled in _one_filled(admin, one)]
    return found


def _one_filled(admin: Client, path: str) -> list[str]:
    before, _, rest = path.partition("{")
    name, _, after = rest.partition("}")
    lists = {"reply_id": "/api/replies"}
    where = lists.get(name, before.rstrip("/"))
    ids = [item["id"] for query in ("", "?deleted=true") for item in _listed(admin, where, query)]
    return [f"{before}{one}{after}" for one in [*dict.fromkeys(ids), "01M82WN1MF4T9XV22B24PC6B8F"]]


def _listed(admin: Client, where: str, query: str) -> list[dict[str, Any]]:
    if query and where != "/api/tickets":
        return []
    answer = admin.get(f"{where}{query}")
    items = answer.json()["items"] if answer.status_code == 200 else []
    return [item for item in items if item.get("tags") != ["many"]]


def go_on(app: FastAPI, people: People) -> None:
    """What was promised before the move is kept after it."""
    object.__setattr__(app.state.ports, "now", now)
    by_name = people.clients(app)
    admin, newest = by_name["admin"], by_name["admin"].get("/api/tickets?sort=-number&limit=1").json()["items"][0]
    again = admin.post("/api/tickets", json=_draft("Pending"), headers={"idempotency-key": "k" * 20})
    assert again.status_code == 201 and again.json()["number"] < newest["number"], "the answer of before"
    with target(plain(200)) as there:
        for webhook in admin.get("/api/webhooks").json()["items"]:
            change = {"url": there.url} if webhook["active"] else {}
            assert admin.patch(f"/api/webhooks/{webhook['id']}", json=change or {"active": False}).status_code == 200
        _work(app, outbox.fan_out, outbox.deliver)
        titles = [json.loads(message.body)["data"]["ticket"]["title"] for message in there.received]
        assert {"Pending", "No message yet"} <= set(titles), titles
        before = len(titles)
        made = by_name["grace"].ticket(title="The first one here")
        _work(app, outbox.fan_out, outbox.deliver)
        assert len(there.received) == before + 1, "webhooks hear of what comes, and of nothing again"
    assert made["number"] == newest["number"] + 1
    (under_way,) = [one for one in admin.get("/api/imports").json()["items"] if one["state"] == "waiting"]
    assert finish_import(app, admin, f"/api/imports/{under_way['id']}")["tickets_made"] == 2


def exported(app: FastAPI) -> dict[str, list[bytes]]:
    """The lines of an export by their kind. Not by the API, which would write down in the audit log that it was asked."""

    async def ask() -> bytes:
        return b"".join([chunk async for chunk in exports.write_out(app.state.ports, secrets=True)])

    found: dict[str, list[bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(asyncio.run(ask()))) as archive:
        for member in archive:
            kind = re.split(r"-0|\.json", member.name)[0]
            file = archive.extractfile(member)
            if file and kind not in ("export", "manifest"):
                found.setdefault(kind, []).extend(file.read().splitlines())
    return {kind: sorted(lines) for kind, lines in found.items()}


def events(app: FastAPI) -> dict[str, list[Any]]:
    """Every event from the first, by ticket, without its position."""

    tickets = app.state.ports.tickets
    patience = (
        5.0 if tickets.remote else 0.0
    )  # a place that whoever was killed left empty is waited for, for some seconds

    async def ask() -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        after, until = 0, time.monotonic() + patience
        while (page := await tickets.list_events(after, 100)) or time.monotonic() < until:
            for one in page:
                seen = (one.event, one.ticket_number, one.requester, one.team, one.deleted)
                found.setdefault(one.event.ticket_id, []).append(seen)
                after, until = one.number, time.monotonic() + patience
            if not page:
                await asyncio.sleep(0.2)
        return found

    return asyncio.run(ask())


def held(app: FastAPI, people: People) -> dict[str, Any]:
    """All of it."""
    return {"answers": answers(app, people), "events": events(app), "exported": exported(app)}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What is not the same, in lines."""
    found = []
    for part, before in ours.items():
        after = theirs[part]
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                found.append(f"{part} {name}:\n{_apart(str(before.get(name)), str(after.get(name)))}")
    return sorted(found)


def _apart(one: str, other: str) -> str:
    """Where two texts begin to differ."""
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"  {one[max(0, at - 100) : at + 200]}\n  {other[max(0, at - 100) : at + 200]}"


def written(path: Path, environ: dict[str, str]) -> Path:
    """A file of settings."""
    path.write_text("".join(f"{name}={value}\n" for name, value in environ.items()))
    return path
