"""A helpdesk with a past: people, and tickets as real ones are, long, in many scripts, and hostile."""

import json
import struct
import urllib.request
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

AGENT, COLLEAGUE, REQUESTER = "Ada Lovelace", "Lin Chen", "Grace Hopper"
SCRIPT = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran = 1"><script>window.ran = 1</script></svg>'
HTML = b"<!doctype html><script>window.ran = 1</script>"
TEAMS = ("Network", "Workplace", "Applications")

TICKETS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "VPN drops every day at ten past nine",
        "critical",
        "Network",
        "Since the update on Monday.\n\nThe log says:\n\n```\n09:10:02 tun0: peer timed out after 30 s\n09:10:02 route 10.0.0.0/8 withdrawn\n```\n\nThe whole second floor is cut off. See https://status.example.org/vpn (the page of the provider).",
        ("vpn", "outage"),
    ),
    (
        "Printer on floor 2 prints blank pages",
        "medium",
        "Hardware",
        "Since this morning. The toner is new, and `lpstat` shows nothing unusual.",
        ("printer",),
    ),
    ("Laptop doesn't wake from sleep", "low", "Hardware", "It needs a hard reset each time I close the lid.", ()),
    (
        "Can't open the shared drive of the finance team from the new office since we moved there last week, although it worked from the old one until Friday evening",
        "high",
        "Access",
        "Windows says *network path not found*.",
        ("finance", "network drive"),
    ),
    (
        "新しい従業員のアカウントを作成してください",
        "medium",
        "Access",
        "来週の月曜日に入社します。\n部署は営業部です。",
        ("入社",),
    ),
    (
        "الطابعة لا تعمل في الطابق الثاني",
        "high",
        "Hardware",
        "منذ صباح اليوم لا تعمل الطابعة.\nThe display says PAPER JAM.",
        ("طابعة",),
    ),
    ("Emoji in mails show as boxes 🙂🧑‍💻🇨🇭", "low", "Software", "🙂 should be a face. 👩‍👩‍👧‍👦 too.", ("mail",)),
    (
        "Payroll export: שלום fails for names with 123 (left to right again)",
        "high",
        "Software",
        "The name holds \u202ean override\u202c that must not turn the rest.",
        ("payroll",),
    ),
    (
        f"Search box {SCRIPT}",
        "medium",
        "Software",
        f"I typed {SCRIPT} and {{{{ 7*7 }}}} and it looked odd.\n\njavascript:alert(1)",
        ("security",),
    ),
    ("New phone for the reception", "low", "Hardware", "The old one has a crack.", ()),
    ("Two-factor codes are refused", "critical", "Access", "All of them, for everybody in Lyon.", ("2fa", "outage")),
    ("Meeting room display shows last week's calendar", "low", "Workplace", "Room *Turing*.", ("av",)),
)


@dataclass(slots=True)
class Caller:
    """Somebody who talks to the API."""

    base: str
    token: str
    name: str = "admin"

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json", **headers: str) -> Any:
        """A call; its JSON."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.token}", "content-type": kind, **headers}
        asked = urllib.request.Request(self.base + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                text = answer.read()
        except HTTPError as problem:
            raise AssertionError(f"{method} {path}: {problem.code} {problem.read().decode()}") from None
        return json.loads(text) if text else None

    def file(self, title: str, **fields: Any) -> Any:
        """A new ticket."""
        draft = {"title": title, "description": "It does not work.", "severity": "medium", "category": "Hardware"}
        return self.ask("POST", "/api/tickets", draft | fields)

    def say(self, ticket: Any, body: str, *, internal: bool = False) -> Any:
        """A comment."""
        return self.ask("POST", f"/api/tickets/{ticket['id']}/comments", {"body": body, "internal": internal})

    def change(self, ticket: Any, **fields: Any) -> Any:
        """A change."""
        return self.ask("PATCH", f"/api/tickets/{ticket['id']}", fields)

    def attach(self, ticket: Any, name: str, content: bytes, kind: str) -> Any:
        """A file."""
        head = f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        body = head.encode() + content + b"\r\n--b--\r\n"
        return self.ask("POST", f"/api/tickets/{ticket['id']}/attachments", body, "multipart/form-data; boundary=b")


@dataclass(slots=True)
class World:
    """Who is there, and what they have filed."""

    base: str
    admin: Caller
    agent: Caller
    colleague: Caller
    requester: Caller
    tickets: list[Any] = field(default_factory=list)
    long: Any = None
    alike: Any = None


def picture(width: int = 240, height: int = 120) -> bytes:
    """A PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + b"".join(bytes((40 + x * 150 // width, 90 + y * 120 // height, 160)) for x in range(width))
        for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def person(admin: Caller, name: str, role: str) -> Caller:
    """A token for somebody new."""
    email = f"{name.split()[0].lower()}@example.org"
    made = admin.ask("POST", "/api/tokens", {"name": name, "role": role, "email": email})
    return Caller(admin.base, made["token"], name)


def build(base: str, token: str) -> World:
    """People and tickets, by way of the API."""
    admin = Caller(base, token)
    world = World(
        base,
        admin,
        person(admin, AGENT, "agent"),
        person(admin, COLLEAGUE, "agent"),
        person(admin, REQUESTER, "requester"),
    )
    for number, (title, severity, category, description, tags) in enumerate(TICKETS):
        filer = world.requester if number % 3 == 1 else world.agent
        more = {} if filer is world.requester else {"requester": f"person{number}@example.org"}
        ticket = filer.file(
            title, description=description, severity=severity, category=category, tags=list(tags), **more
        )
        world.tickets.append(ticket)
    _let_happen(world)
    world.alike = file_alike(world, "Badge")
    world.long = world.agent.file(
        "A ticket with two hundred comments", description="\n".join(f"line {n}" for n in range(300))
    )
    for number in range(200):
        world.agent.say(world.long, f"Comment {number}: tried this, then that.", internal=number % 5 == 0)
    return world


def file_alike(world: World, what: str) -> Any:
    """A ticket like some that were solved; nobody has decided anything about it yet."""
    said = {"title": f"{what} does not open the door of the laboratory", "description": f"The {what} only blinks red."}
    for floor in range(3):
        ticket = world.agent.file(
            f"{said['title']} {floor}",
            description=said["description"],
            severity="high",
            category="Access",
            team="Workplace",
            tags=["door", "badge"],
            assignee="lin@example.org",
        )
        solved = f"Badges of floor {floor} were missing in the list of the door {SCRIPT}."
        world.agent.ask("POST", f"/api/tickets/{ticket['id']}/resolve", {"resolution": solved, "remember": False})
    return world.agent.file(**said, requester="grace@example.org")


def _let_happen(world: World) -> None:
    vpn, printer, laptop = world.tickets[:3]
    agent, colleague = world.agent, world.colleague
    agent.change(vpn, assignee="ada@example.org", team="Network", status="in_progress")
    agent.attach(vpn, "screenshot.png", picture(), "image/png")
    agent.attach(vpn, "tunnel.log", b"09:10:02 tun0: peer timed out\n", "text/plain")
    agent.say(
        vpn,
        "We are looking at it together with the provider.\n\nUntil then please use https://relay.example.org/guide (it is slower).",
    )
    colleague.say(vpn, "The provider changed the rekey interval: `rekey 30s` instead of `rekey 3600s`.", internal=True)
    colleague.change(vpn, tags=["vpn", "outage", "provider"])
    agent.change(printer, assignee="lin@example.org", team="Workplace")
    colleague.say(printer, "Have you tried the other tray?")
    world.requester.say(printer, "Yes, the same. I have attached a photo.")
    world.requester.attach(printer, "photo.png", picture(300, 200), "image/png")
    agent.change(laptop, status="waiting", assignee="ada@example.org")
    agent.change(world.tickets[3], assignee="lin@example.org", status="in_progress")
    agent.change(world.tickets[10], assignee="ada@example.org")
    agent.attach(world.tickets[8], "drawing.svg", SVG, "image/svg+xml")
    agent.attach(world.tickets[8], "page.html", HTML, "text/html")
    agent.say(world.tickets[8], SCRIPT)
    agent.ask(
        "POST",
        f"/api/tickets/{world.tickets[9]['id']}/resolve",
        {"resolution": "Ordered and delivered.\n\nThe old one went to recycling.", "remember": True},
    )
    agent.ask(
        "POST",
        f"/api/tickets/{world.tickets[11]['id']}/resolve",
        {"resolution": "The display was signed in with an account that has left.", "remember": True},
    )
