"""The states that pages can be in, each with who meets it and how: what looks well in one may fall apart in another."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.world import Caller, picture

WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
LONG_ADDRESS = "a.very.long.address.of.somebody.in.external-affairs@subdivision.headquarters.of.some.example.org"
LONG_NAME = f"Dr. {WORD} von und zu Lichtenstein"[:100]
DESKTOPS, PHONES = (1024, 1280, 1366, 1440), (320, 390, 683)
EVERY_WIDTH = (*PHONES, *DESKTOPS)


@dataclass(slots=True)
class Scene:
    """A small helpdesk in which everything is as it seldom is."""

    admin: Caller
    agent: Caller
    requester: Caller
    tickets: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """Who looks where, what they do there, and the widths at which all must be well; pictures are of `shown`."""

    who: str
    address: Callable[[Scene], str] | str
    act: Callable[[Page], None] | None = None
    widths: tuple[int, ...] = EVERY_WIDTH
    shown: tuple[int, ...] = (320, 1366)
    scheme: str = "light"
    script: bool = True


def of(name: str, end: str = "") -> Callable[[Scene], str]:
    """The page of a ticket of the scene."""
    return lambda scene: f"/tickets/{scene.tickets[name]['id']}{end}"


def choose_two(page: Page) -> None:
    for box in page.locator("#list .c-pick input").all()[:2]:
        box.check()
    expect(page.locator("#list .ticked")).to_have_count(2)


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((box) => { box.open = true; })")


def show_menu(page: Page) -> None:
    page.locator(".account summary").click()


# What no other test holds against axe-core's rules.
HELD_AGAINST_RULES = {"empty-admin", "queue-chosen", "queue-dark", "queue-late", "ticket-late-dark", "ticket-merged"}
HELD_AGAINST_RULES |= {"ticket-trashed", "ticket-long", "my-ticket-unknown", "tokens", "dashboard"}
EMPTY = {
    "empty-admin": State("admin", "/queue", widths=(320, 683, 1366)),
    "empty-agent": State("agent", "/queue", widths=(320, 1366), shown=(1366,)),
    "empty-filtered": State("agent", "/queue?tag=none", widths=(320, 1366), shown=(320,)),
    "empty-requester": State("requester", "/queue", widths=(320, 1366), shown=(320,)),
    "empty-dashboard": State("agent", "/dashboard", widths=(320, 1366), shown=(320,)),
}
FULL = {
    "queue": State("agent", "/queue?status=any", widths=(*EVERY_WIDTH, 2560)),
    "queue-dark": State("agent", "/queue?status=any", choose_two, (320, 1366), scheme="dark"),
    "queue-chosen": State("agent", "/queue?status=any", choose_two, shown=(320, 1366, 1440)),
    "queue-late": State("agent", "/queue?overdue=true", shown=(320, 1280, 1440)),
    "queue-due-first": State("agent", "/queue?sort=due_at", widths=(320, 1366)),
    "queue-no-script": State("agent", "/queue?status=any", widths=(320, 683, 1366), script=False),
    "queue-menu": State("admin", "/queue", show_menu, (320, 1366), (320,)),
    "ticket-late": State("agent", of("late"), widths=(320, 683, 1024, 1366)),
    "ticket-late-dark": State("agent", of("late"), widths=(320, 1366), shown=(1366,), scheme="dark"),
    "ticket-long": State("agent", of("long"), unfold, (320, 683, 1024, 1366)),
    "ticket-long-no-script": State("agent", of("long"), widths=(320, 1366), script=False),
    "ticket-waiting": State("agent", of("waiting"), widths=(320, 1366), shown=(320,)),
    "ticket-merged": State("agent", of("merged"), widths=(320, 683, 1366)),
    "ticket-merged-target": State("agent", of("target"), widths=(320, 1366), shown=(1366,)),
    "ticket-trashed": State("agent", of("trashed"), widths=(320, 683, 1366)),
    "ticket-resolved": State("agent", of("resolved"), widths=(320, 1366), shown=(320,)),
    "my-tickets": State("requester", "/queue", widths=PHONES, shown=(320, 683)),
    "my-ticket-long": State("requester", of("long"), unfold, (320, 683, 1366), (320,)),
    "my-ticket-unknown": State("requester", "/tickets/01ARZ3NDEKTSV4RRFFQ69G5FAV", widths=(320, 1366), shown=(320,)),
    "new-ticket": State("requester", "/tickets/new", widths=(320, 683, 1366), shown=(320,)),
    "dashboard": State("admin", "/dashboard", unfold, (320, 390, 683, 1366)),
    "memories": State("agent", "/memories", widths=(320, 683, 1366), shown=(320,)),
    "memory": State(
        "agent", lambda scene: f"/memories/{scene.tickets['resolved']['id']}", widths=(320, 1366), shown=(320,)
    ),
    "categories": State("admin", "/admin/categories", unfold, (320, 390, 683, 1366)),
    "teams": State("admin", "/admin/teams", unfold, (320, 1366), (320,)),
    "replies": State("admin", "/admin/replies", unfold, (320, 1366), (320,)),
    "tokens": State("admin", "/admin/tokens", unfold, (320, 390, 683, 1366)),
    "webhooks": State("admin", "/admin/webhooks", unfold, (320, 1366), (320,)),
    "promises": State("admin", "/admin/sla", unfold, (320, 1366), (320,)),
    "audit": State("admin", "/admin/audit", widths=(320, 1366), shown=(320,)),
}


def import_at(admin: Caller, title: str, minutes_ago: int) -> Any:
    """A ticket that was filed so long ago."""
    filed = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    mapping = {"columns": {"t": "title", "d": "description", "c": "created_at"}}
    mapping["defaults"] = {
        "severity": "low",
        "category": "Hardware",
        "requester": "grace@example.org",
        "status": "open",
    }
    rows = f"t,d,c\n{title},It does not work.,{filed}\n"
    parts = (("mapping", "", json.dumps(mapping)), ("file", '; filename="t.csv"', rows))
    form = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"{more}\r\n\r\n{v}\r\n' for n, more, v in parts)
    job = admin.ask("POST", "/api/imports", f"{form}--b--\r\n".encode(), "multipart/form-data; boundary=b")
    deadline = time.monotonic() + 30
    while admin.ask("GET", f"/api/imports/{job['id']}")["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, "the import takes too long"
        time.sleep(0.02)
    return admin.ask("GET", "/api/tickets?sort=-number&limit=1")["items"][0]


def promise(admin: Caller) -> None:
    """At all hours: an answer and a resolution for what is high or critical."""
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    promises = {
        "high": {"first_response_minutes": 60, "resolution_minutes": 240},
        "critical": {"first_response_minutes": 30, "resolution_minutes": 60},
    }
    hours = {day: ["00:00-24:00"] for day in days}
    admin.ask("PUT", "/api/sla", {"time_zone": "UTC", "hours": hours, "promises": promises})


def fill(scene: Scene) -> None:
    """Everything that the states of FULL show."""
    admin, agent, made = scene.admin, scene.agent, scene.tickets
    admin.ask("POST", "/api/tokens", {"name": LONG_NAME, "role": "agent", "email": LONG_ADDRESS})
    category, team = WORD[:60] + " und mehr", f"{WORD[:50]}-Team"
    admin.ask("POST", "/api/teams", {"name": team, "description": WORD * 3})
    admin.ask("POST", "/api/categories", {"name": "Hardware", "description": ""})
    admin.ask("POST", "/api/categories", {"name": category, "description": WORD * 3, "team": team})
    admin.ask(
        "POST", "/api/replies", {"title": WORD * 2, "body": f"Hello {{{{requester}}}}, https://example.org/{WORD * 3}"}
    )
    admin.ask("POST", "/api/webhooks", {"url": f"https://hooks.example.org/{'x' * 200}", "events": ["ticket.created"]})
    promise(admin)
    made["late"] = agent.change(import_at(admin, "Its first answer is late", 72), severity="high")
    answered = import_at(admin, "Answered and overdue", 72)
    agent.say(answered, "We look at it.")
    made["overdue"] = agent.change(answered, severity="critical", assignee=LONG_ADDRESS)
    made["old"] = import_at(admin, "Filed long ago", 60 * 24 * 316)
    for number in range(3):
        scene.requester.file(f"An ordinary ticket, number {number}", severity="high")
    long = made["long"] = scene.requester.file(
        f"{WORD}{WORD}"[:150] + " is what the display says",
        description=f"{WORD * 4}\n\n`{WORD * 3}`\n\nhttps://example.org/{WORD * 4}?a={'x' * 200}\n\n```\n{WORD * 4}\n```",
        category=category,
        tags=[WORD[:50], "x" * 50, "short", "y" * 40, "z" * 40, "w" * 40],
    )
    agent.change(long, assignee=LONG_ADDRESS, team=team, severity="critical")
    agent.attach(long, f"{WORD}{WORD}.txt"[-150:], b"text", "text/plain")
    agent.attach(long, "wide.png", picture(1200, 60), "image/png")
    agent.say(long, f"**https://example.org/{WORD * 2}**, `{WORD * 2}`\n\n> {WORD * 2}")
    agent.say(long, WORD * 5, internal=True)
    made["waiting"] = agent.change(agent.file("Waits for its requester", severity="high"), status="waiting")
    target, merged = agent.file("Where it goes on"), agent.file("The same once more", requester="grace@example.org")
    agent.say(merged, "Said before the merge")
    agent.ask("POST", f"/api/tickets/{merged['id']}/merge", {"into": target["id"]})
    made |= {"target": target, "merged": merged}
    made["trashed"] = agent.file("In the trash")
    agent.ask("DELETE", f"/api/tickets/{made['trashed']['id']}")
    made["resolved"] = agent.file("Solved", requester=LONG_ADDRESS)
    agent.ask("POST", f"/api/tickets/{made['resolved']['id']}/resolve", {"resolution": WORD * 3, "remember": True})


# What is wrong with a page as it stands, as a list of lines. Text that is cut on purpose counts as far as it is seen.
WRONG = r"""() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const culprits = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1 && !one.closest('.sideways, .scroll, pre, .rail, .vh, [hidden]'));
    wrong.push(`sideways: ${root.scrollWidth} > ${root.clientWidth}: ${culprits.slice(0, 3).map((one) => one.outerHTML.slice(0, 160)).join(' || ')}`);
  }
  const seen = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()].map((box) => {
      let [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom];
      for (let one = node.parentElement; one; one = one.parentElement) {
        const style = getComputedStyle(one);
        if (style.overflowX === 'visible' && style.overflowY === 'visible') continue;
        const around = one.getBoundingClientRect();
        [left, top, right, bottom] = [Math.max(left, around.left), Math.max(top, around.top), Math.min(right, around.right), Math.min(bottom, around.bottom)];
      }
      return { node, left, top, right, bottom, text: node.textContent.trim().slice(0, 40) };
    }).filter((box) => box.right - box.left > 1 && box.bottom - box.top > 1);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const boxes = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest('script, .vh, option, textarea, datalist, svg, .skip, #notice, .menu, .face') || !parent.checkVisibility()) continue;
    const found = seen(node);
    boxes.push(...found);
    for (const { index, 0: word } of node.textContent.matchAll(/[\p{L}\p{N}#]{2,14}(?![\p{L}\p{N}])/gu)) {
      const [before, after] = [node.textContent.slice(0, index), node.textContent.slice(index)];
      if (/^\S*/.exec(after)[0].length + /\S*$/.exec(before)[0].length > 18) continue; // an address, or a word as long as one
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = new Set([...range.getClientRects()].filter((box) => box.width > 0).map((box) => Math.round(box.top)));
      if (lines.size > 1 && !parent.closest('pre, code, a[rel], .prose')) wrong.push(`a word breaks: ${word} in ${parent.outerHTML.slice(0, 120)}`);
    }
  }
  for (let a = 0; a < boxes.length; a++) for (let b = a + 1; b < boxes.length; b++) {
    const [one, other] = [boxes[a], boxes[b]];
    if (one.node === other.node) continue;
    const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (wide > 1.5 && high > 5) wrong.push(`overlap: "${one.text}" and "${other.text}"`);
  }
  const most = root.clientWidth <= 720 ? 260 : 90;
  for (const row of document.querySelectorAll('.tickets .row')) {
    const height = row.getBoundingClientRect().height;
    if (height > most) wrong.push(`a row is ${height} high: ${row.textContent.trim().slice(0, 40)}`);
  }
  return wrong.slice(0, 12);
}"""
