"""Suggestions on the ticket's page, without a browser: who sees them, what they say, and how they are taken up."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from backend.domain.neighbours import Question
from backend.domain.triage import Opinion
from backend.errors import Unavailable
from tests.client import Client
from tests.web.test_pages import SCRIPT, page, send

BLANK = {"title": "Printer prints blank pages", "description": "Every printed page comes out blank."}
DECIDED = {"category": "Devices", "severity": "high", "team": "Workplace", "tags": ["printer", "toner"]}


def decide(agent: Client, number: int = 4, resolution: str = "Replaced the toner.", **fields: Any) -> dict[str, Any]:
    """Tickets about blank pages that were all solved alike; the last of them."""
    for _ in range(number):
        ticket = agent.ticket(**(BLANK | DECIDED | fields))
        solved = {"resolution": resolution, "remember": False}
        assert agent.post(f"/api/tickets/{ticket['id']}/resolve", json=solved).status_code == 200
    return ticket


def here(ticket: dict[str, Any]) -> str:
    return f"/tickets/{ticket['id']}/suggestions"


def fields_of(html: str) -> list[tuple[str, str]]:
    """What the form sends that applies suggestions, whatever button is pressed."""
    form = re.search(r"<form[^>]*/suggestions/apply.*?</form>", html, re.DOTALL)
    assert form, html
    return re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0])


def press(client: Client, ticket: dict[str, Any], html: str, only: str | None = None) -> httpx.Response:
    """Press Apply, or Apply all, as the page had it."""
    sent: dict[str, Any] = {}
    for name, value in fields_of(html):
        sent.setdefault(name, []).append(value)
    return send(client, f"{here(ticket)}/apply", **sent, **({"only": only} if only else {}))


@dataclass
class Model:
    """An assistant outside, which says what it is told to."""

    said: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""
    adapter: str = "bedrock"
    remote: bool = True

    async def suggest(self, question: Question) -> Opinion:
        if self.broken:
            raise Unavailable(self.broken)
        shown = [one.id for one in question.neighbours]
        return Opinion([{"evidence": shown, "confidence": 0.5} | one for one in self.said], "some.model-1")

    async def probe(self) -> None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def model(app: FastAPI, admin: Client) -> Model:
    """The application with a model."""
    model = Model()
    object.__setattr__(app.state.ports, "assistant", model)
    return model


def test_page_of_a_ticket_computes_none_and_says_where_they_are(agent: Client, app: FastAPI) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK)
    html = page(agent.get(f"/tickets/{ticket['id']}"))
    later = re.search(r'data-later="([^"]+)"', html)
    assert later and f'<a href="{here(ticket)}">' in html, "without script it is a link"
    assert "Devices" not in html.replace("<option>Devices</option>", ""), "it may be chosen, but is not suggested"
    assert page(agent.get(later[1])).count("% sure") == 4
    agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": "Nothing that changes them"})
    assert later[0] in page(agent.get(f"/tickets/{ticket['id']}"))
    agent.patch(f"/api/tickets/{ticket['id']}", json={"team": "Network"})
    assert later[0] not in page(agent.get(f"/tickets/{ticket['id']}"))


def test_says_what_differs_how_sure_and_why(agent: Client, stores: dict[str, str]) -> None:
    solved = decide(agent)
    ticket = agent.ticket(**BLANK, severity="high", tags=["printer"])
    html = page(agent.get(here(ticket)))
    assert re.findall(r'<li data-key="(\w+)">', html) == ["category", "team", "tags"]
    assert "Devices" in html and "Workplace" in html and "4 of the 4 most similar say so" in html
    assert re.search(r'<rect class="part" width="\d\d"', html) and re.search(r"\d\d % sure", html)
    assert ("tags", "toner") in fields_of(html) and ("tags", "printer") not in fields_of(html)
    assert f'<a href="/tickets/{solved["id"]}" dir="auto">#{solved["number"]} Printer prints blank pages</a>' in html
    assert "Replaced the toner." in html and "Similar tickets<" in html
    assert ("Ask the assistant" in html) == ("BEDROCK_MODEL_ID" in stores), "the built-in one has said all it can"


def test_are_taken_up_one_by_one_or_all_at_once(agent: Client) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK, tags=["fax"])
    html = page(agent.get(here(ticket)))
    done = press(agent, ticket, html, "category")
    assert (done.status_code, done.headers["location"]) == (303, f"/tickets/{ticket['id']}")
    assert (now := agent.get(f"/api/tickets/{ticket['id']}").json())["category"] == "Devices"
    assert (now["severity"], now["team"], now["tags"]) == ("low", None, ["fax"])
    again = press(agent, ticket, html, "category")
    assert again.status_code == 303 and agent.get(f"/api/tickets/{ticket['id']}").json()["version"] == now["version"]
    assert press(agent, ticket, page(agent.get(here(ticket)))).status_code == 303
    now = agent.get(f"/api/tickets/{ticket['id']}").json()
    assert (now["severity"], now["team"], now["tags"]) == ("high", "Workplace", ["fax", "printer", "toner"])
    html = page(agent.get(f"/tickets/{ticket['id']}"))
    assert "took a suggestion of the built-in assistant: set category to" in html
    assert "set team to" in html and "set assistant" not in html
    assert "This ticket already has everything that is suggested." in page(agent.get(here(ticket)))


def test_tell_of_conflicts_as_other_forms_do(agent: Client) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK)
    path = f"/api/tickets/{ticket['id']}"
    html = page(agent.get(here(ticket)))
    agent.post(f"{path}/comments", json={"body": "No conflict"})
    agent.patch(path, json={"severity": "critical"})
    assert "severity is critical now" in page(press(agent, ticket, html), 412)
    assert agent.get(path).json()["category"] == "Hardware", "all or nothing"
    assert press(agent, ticket, html, "team").status_code == 303
    agent.patch(path, json={"title": "A chair squeaks", "description": "When somebody sits down."})
    told = page(press(agent, ticket, html, "category"), 409)
    assert "category: Devices is not suggested now" in told and "PATCH" not in told
    page(send(agent, f"{here(ticket)}/apply", category="Made up"), 409)
    page(send(agent, f"{here(ticket)}/apply", severity="worst"), 422)
    page(send(agent, f"{here(ticket)}/apply", only="title", title="X"), 422)
    page(send(agent, f"{here(ticket)}/apply"), 422)
    assert agent.get(path).json()["category"] == "Hardware"


def test_escape_what_others_wrote(agent: Client, model: Model) -> None:
    hostile = f"{SCRIPT} \"'\u202eabc"
    decide(agent, resolution=hostile, title=f"Printer prints blank pages {SCRIPT}", tags=[SCRIPT])
    ticket = agent.ticket(**BLANK)
    model.said = [{"subject": "category", "value": "Devices", "reason": f"{hostile}\n\n{'long ' * 500}"}]
    assert send(agent, here(ticket)).status_code == 303
    html = page(agent.get(here(ticket)))
    assert "<script>alert" not in html and html.count("&lt;script&gt;") > 5
    reason = re.search(r"<summary><bdi>(.*?)</bdi>", html)
    assert reason and len(reason[1]) < 400 and 'data-insert="&lt;script&gt;' in html


def test_long_resolution_is_cut_and_not_offered_for_the_reply(agent: Client) -> None:
    decide(agent, resolution="begins like this " + "word " * 3_000)
    html = page(agent.get(here(agent.ticket(**BLANK))))
    assert "begins like this" in html and "data-insert" not in html and len(html) < 20_000


def test_say_why_there_are_none(agent: Client, model: Model) -> None:
    ticket = agent.ticket(**BLANK)
    assert "No similar ticket has been resolved yet." in page(agent.get(here(ticket)))
    assert send(agent, here(ticket)).status_code == 303
    assert "The assistant has nothing to suggest." in page(agent.get(here(ticket)))
    assert "Apply" not in page(agent.get(here(ticket)))


def test_model_is_asked_by_a_button_and_named(agent: Client, model: Model) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK)
    html = page(agent.get(here(ticket)))
    assert "By the built-in assistant." in html and ">Ask the assistant<" in html
    model.said = [{"subject": "severity", "value": "critical", "reason": "Nobody can print."}]
    once = {"once": "the-key-of-the-form"}
    for _ in range(2):
        done = send(agent, here(ticket), **once)
        assert (done.status_code, done.headers["location"]) == (303, here(ticket))
    html = page(agent.get(here(ticket)))
    assert "By <bdi>some.model-1</bdi>" in html and ">Ask the assistant again<" in html
    assert "Nobody can print." in html and "50 % sure" in html
    assert press(agent, ticket, html, "severity").status_code == 303
    assert "took a suggestion of bedrock:" in page(agent.get(f"/tickets/{ticket['id']}"))


def test_page_says_so_where_the_model_fails(agent: Client, model: Model) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK)
    model.broken = f"Bedrock is\n\x1bbusy {SCRIPT}."
    html = page(send(agent, here(ticket)))
    assert "Bedrock is busy &lt;script&gt;" in html and "The built-in assistant answered in its place." in html
    assert "Devices" in html and "By the built-in assistant." in html
    assert "Bedrock is busy" not in page(agent.get(here(ticket)))


@pytest.mark.parametrize("end", ["closed", "trash", "merged"])
def test_can_not_be_taken_up_where_the_ticket_is_over(agent: Client, model: Model, end: str) -> None:
    other = decide(agent)
    ticket = agent.ticket(**BLANK)
    open_html = page(agent.get(here(ticket)))
    path = f"/api/tickets/{ticket['id']}"
    {
        "closed": lambda: agent.patch(path, json={"status": "closed"}),
        "trash": lambda: agent.delete(path),
        "merged": lambda: agent.post(f"{path}/merge", json={"into": other["id"]}),
    }[end]()
    html = page(agent.get(here(ticket)))
    assert "Similar tickets" in html and "Apply" not in html and "Ask the assistant" not in html
    if end != "closed":
        page(press(agent, ticket, open_html, "team"), 409)


def test_requester_gets_none_of_it(admin: Client, agent: Client, person: Callable[..., Client]) -> None:
    decide(agent)
    requester = person("requester", "Grace")
    ticket = requester.ticket(**BLANK)
    assert press(agent, ticket, page(agent.get(here(ticket)))).status_code == 303
    html = page(requester.get(f"/tickets/{ticket['id']}"))
    for words in ("uggestion", "assistant", "data-later", "imilar"):
        assert words not in html
    assert "set team to" in html
    page(requester.get(here(ticket)), 403)
    page(send(requester, here(ticket)), 403)
    page(send(requester, f"{here(ticket)}/apply", team="Workplace"), 403)
    page(requester.get(here(agent.ticket())), 404)


def test_agent_of_a_team_sees_only_what_is_theirs(admin: Client, agent: Client, person: Callable[..., Client]) -> None:
    admin.post("/api/teams", json={"name": "Workplace"})
    admin.post("/api/teams", json={"name": "Network"})
    solved = decide(agent, resolution="A secret of the workplace")
    networker = person("agent", "Lin", teams=["Network"])
    ticket = agent.ticket(**BLANK, team="Network")
    html = page(networker.get(here(ticket)))
    assert "No similar ticket" in html and "A secret" not in html and solved["id"] not in html
    page(networker.get(here(solved)), 404)


def test_what_a_model_said_is_not_shown_once_its_evidence_is_another_team_s(
    agent: Client, model: Model, person: Callable[..., Client]
) -> None:
    solved = decide(agent, team="Network")
    networker = person("agent", "Lin", teams=["Network"])
    ticket = agent.ticket(**BLANK, team="Network")
    model.said = [{"subject": "category", "value": "Devices", "reason": "As with the leak of the payroll."}]
    assert send(networker, here(ticket)).status_code == 303
    assert "payroll" in page(networker.get(here(ticket)))
    agent.patch(f"/api/tickets/{solved['id']}", json={"team": "Workplace"})
    html = page(networker.get(here(ticket)))
    assert "payroll" not in html and "By the built-in assistant." in html
    assert "payroll" in page(agent.get(here(ticket)))


def test_what_a_model_said_is_not_offered_once_it_would_be_refused(admin: Client, agent: Client, model: Model) -> None:
    decide(agent)
    ticket = agent.ticket(**BLANK)
    model.said = [{"subject": "category", "value": "Devices"}, {"subject": "severity", "value": "high"}]
    assert send(agent, here(ticket)).status_code == 303
    assert "Apply category" in page(agent.get(here(ticket)))
    assert admin.post("/api/categories", json={"name": "Printing"}).status_code == 201
    html = page(agent.get(here(ticket)))
    assert "Apply category" not in html and "Apply severity" in html


def test_reopened_tickets_are_said_to_be_so_beside_their_old_resolution(agent: Client) -> None:
    solved, ticket = decide(agent, resolution="The drum was full"), agent.ticket(**BLANK)
    before = page(agent.get(here(ticket)))
    assert "Reopened" not in before
    agent.post(f"/api/tickets/{solved['id']}/reopen")
    html = page(agent.get(here(ticket)))
    assert "Reopened; the earlier resolution was: <bdi>The drum was full" in html
    assert "Not resolved yet" not in html
    assert html.count("data-insert") == before.count("data-insert") - 1, "it did not last"
    agent.patch(f"/api/tickets/{solved['id']}", json={"status": "closed"})
    assert "Reopened" not in page(agent.get(here(ticket)))
