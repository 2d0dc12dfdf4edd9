"""Pages, without a browser: what they answer, to whom, and how they say no."""

import re
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from backend.errors import Unavailable
from backend.web import pages
from backend.web.pages import statics
from tests.conftest import ADMIN_TOKEN, Client

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SCRIPT = "<script>alert(1)</script>"
FORM = {"title": "T", "description": "D", "severity": "low", "category": "C"}


def page(answer: httpx.Response, status: int = 200) -> str:
    """The HTML, once it has been held against what every page promises."""
    assert answer.status_code == status, answer.text[-500:]
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == CSP
    assert "Traceback" not in answer.text
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", re.sub(r"&lt;.*?&gt;", "", answer.text))
    assert not re.search(r"<script(?! src=\"/static/)", answer.text)
    return answer.text


def send(client: Client, path: str, **fields: Any) -> httpx.Response:
    return client.post(path, data=fields, follow_redirects=False)


class TestSigningIn:
    def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(self, admin: Client) -> None:
        stranger = admin.speaking(None)
        answer = stranger.get("/queue?status=any", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/queue%3Fstatus%3Dany")
        html = page(stranger.get(answer.headers["location"]))
        assert 'value="/queue?status=any"' in html
        done = send(stranger, "/sign-in", token=ADMIN_TOKEN, next="/queue?status=any")
        assert (done.status_code, done.headers["location"]) == (303, "/queue?status=any")
        assert "HttpOnly" in done.headers["set-cookie"]
        assert stranger.get("/", follow_redirects=False).headers["location"] == "/queue"
        page(stranger.get("/queue"))
        assert send(stranger, "/sign-out").status_code == 403, "no Origin, so perhaps another site"
        left = stranger.post("/sign-out", headers={"origin": "http://testserver"}, follow_redirects=False)
        assert (left.status_code, left.headers["clear-site-data"]) == (303, '"cache"')
        assert stranger.get("/queue", follow_redirects=False).status_code == 303

    @pytest.mark.parametrize("way", ["//evil.example", "/\\evil.example", "https://evil.example", "/sign-out", ""])
    def test_leads_nowhere_else(self, admin: Client, way: str) -> None:
        done = send(admin.speaking(None), "/sign-in", token=ADMIN_TOKEN, next=way)
        assert done.headers["location"] == "/"

    def test_wrong_token(self, admin: Client) -> None:
        html = page(send(admin.speaking(None), "/sign-in", token="tb_wrong", next="/"), 401)
        assert "unknown, revoked or expired" in html and "tb_wrong" not in html

    def test_another_site_can_not_sign_anybody_in(self, admin: Client) -> None:
        headers = {"origin": "https://evil.example"}
        answer = admin.speaking(None).post("/sign-in", data={"token": ADMIN_TOKEN}, headers=headers)
        page(answer, 403)

    def test_what_was_typed_is_shown_when_the_session_has_ended(self, admin: Client) -> None:
        ticket = admin.ticket()
        answer = send(admin.speaking(None), f"/tickets/{ticket['id']}/comments", body=f"A long text {SCRIPT}")
        html = page(answer, 401)
        assert "A long text &lt;script&gt;" in html


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/nowhere", 404),
            ("/tickets/none", 404),
            ("/queue?status=x", 422),
            ("/queue?cursor=x", 400),
            ("/sign-in/x", 404),
        ],
    )
    def test_are_pages(self, agent: Client, path: str, status: int) -> None:
        page(agent.get(path, headers={"accept": "text/html"}), status)

    def test_of_the_api_stay_what_they_are(self, agent: Client) -> None:
        answer = agent.get("/api/nowhere", headers={"accept": "text/html"})
        assert answer.headers["content-type"] == "application/problem+json"
        assert agent.get("/nowhere").headers["content-type"] == "application/problem+json"

    def test_of_the_store_keep_what_was_typed(self, agent: Client, app: FastAPI) -> None:
        ticket = agent.ticket()

        async def full(*_: object) -> None:
            raise Unavailable("The disk is full.")

        object.__setattr__(app.state.ports.tickets, "add_comment", full)
        html = page(send(agent, f"/tickets/{ticket['id']}/comments", body="Typed for an hour"), 503)
        assert "The disk is full." in html and "Typed for an hour" in html
        object.__setattr__(app.state.ports.tickets, "get", full)
        html = page(send(agent, f"/tickets/{ticket['id']}/change", title="X", description="Typed for an hour"), 503)
        assert "The disk is full." in html and "Typed for an hour" in html

    def test_broken_forms_never_break_a_page(self, agent: Client) -> None:
        bodies = (b"%ff%fe", b"a=%e2%28%a1", b"=&=&" * 400, b"\xff\xff", b"title=" + b"x" * 2_000_000)
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/xml", ""):
            for body in bodies:
                for path in ("/tickets", "/queue", "/views", "/sign-in"):
                    answer = agent.post(path, content=body, headers={"content-type": kind}, follow_redirects=False)
                    assert 400 <= answer.status_code < 500, f"{path} {kind} {body[:9]!r}: {answer.status_code}"


class TestQueue:
    def test_shows_what_has_to_be_done(self, agent: Client) -> None:
        for title in ("Open one", "Solved one"):
            ticket = agent.ticket(title=title)
        agent.post(f"/api/tickets/{ticket['id']}/resolve", json={"resolution": "X"})
        html = page(agent.get("/queue"))
        assert "Open one" in html and "Solved one" not in html
        assert "Solved one" in page(agent.get("/queue?status=any"))
        assert "Solved one" in page(agent.get("/queue?status=resolved,closed"))
        assert "Solved one" in page(agent.get("/queue?q=solv"))
        assert "Nothing matches" in page(agent.get("/queue?q=zebra"))

    def test_has_pages(self, agent: Client) -> None:
        for number in range(32):
            agent.ticket(title=f"Number {number}")
        html = page(agent.get("/queue"))
        following = re.search(r'rel="next" href="([^"]+)"', html)
        assert following and html.count('class="row open"') == 30
        assert page(agent.get(following[1].replace("&amp;", "&"))).count('class="row open"') == 2

    def test_finds_in_comments_and_shows_where(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket(title="Certificate", description="It has run out")
        for body, internal in (("Renewing it <b>today</b>", False), ("Renewal costs a lot: secret", True)):
            agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": body, "internal": internal})
        html = page(agent.get("/queue?q=renew"))
        assert "<mark>Renewing</mark> it &lt;b&gt;today" in html and "<mark>Renewal</mark> costs" in html
        assert f'href="/tickets/{ticket["id"]}#c-' in html and "Internal note by" in html
        assert "Nothing matches" not in html
        theirs = page(requester.get("/queue?q=renew"))
        assert "<mark>Renewing</mark>" in theirs and "Renewal" not in theirs and "secret" not in theirs
        assert "<mark>" not in page(agent.get("/queue?q=renew&status=closed")), "filters hold"
        assert "<mark>" not in page(agent.get("/queue?q=-renew"))
        assert "Nothing matches" in page(requester.get("/queue?q=secret"))

    def test_says_how_many_comments_are_left_out(self, agent: Client) -> None:
        ticket = agent.ticket()
        for number in range(12):
            agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": f"needle {number}"})
        html = page(agent.get("/queue?q=needle"))
        assert html.count("<mark>") == 10 and "These are the best 10." in html

    def test_changes_many_and_says_which_not(self, agent: Client) -> None:
        one, other = agent.ticket(title="One"), agent.ticket(title="Other")
        html = page(
            send(agent, "/queue", act="change", pick=[one["id"], other["id"]], severity="high", here="status=any")
        )
        assert "2 tickets changed." in html
        assert agent.get(f"/api/tickets/{one['id']}").json()["severity"] == "high"
        html = page(send(agent, "/queue", act="reopen", pick=[one["id"]]), 409)
        assert "0 tickets changed, 1 not." in html
        assert f"#{one['number']}: The ticket is open" in html, "by its number, as people know it"
        assert "Choose at least one ticket" in page(send(agent, "/queue", act="change", severity="low"), 400)
        assert "Enter at least one change" in page(send(agent, "/queue", act="change", pick=one["id"]), 400)

    def test_keeps_views(self, agent: Client) -> None:
        done = send(agent, "/views", name="Bad ones", here="severity=high%2Ccritical&q=vpn")
        assert done.status_code == 303
        html = page(agent.get(done.headers["location"]))
        assert "Bad ones" in html
        removal = re.search(
            r'action="(/views/\w+/remove)"', page(agent.get("/queue?severity=high%2Ccritical&q=vpn%2A&status=any"))
        )
        assert removal
        assert send(agent, removal[1]).status_code == 303
        assert "Bad ones" not in page(agent.get("/queue"))
        page(send(agent, "/views", name="", here=""), 422)


class TestTicket:
    def test_escapes_everything(self, agent: Client) -> None:
        text = f'{SCRIPT} "quoted" https://example.org/"onmouseover=alert(1)'
        ticket = agent.ticket(
            title=SCRIPT, description=text, category=SCRIPT, tags=[SCRIPT], requester=SCRIPT, team=SCRIPT
        )
        agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": text})
        agent.attach(ticket["id"], b"hello", f"{SCRIPT}.txt")
        for path in ("/queue", f"/tickets/{ticket['id']}"):
            html = page(agent.get(path))
            assert "<script>alert" not in html and '"onmouseover' not in html

    def test_refuses_what_somebody_else_changed_and_keeps_what_was_typed(self, agent: Client) -> None:
        ticket = agent.ticket()
        agent.patch(f"/api/tickets/{ticket['id']}", json={"severity": "critical"})
        html = page(send(agent, f"/tickets/{ticket['id']}/change", severity="high", was_severity="low"), 412)
        assert "severity is critical now" in html
        edit = {"title": "Mine", "was_title": "Not this", "description": "My text", "was_description": "Blank pages"}
        html = page(send(agent, f"/tickets/{ticket['id']}/change", **edit), 412)
        assert "My text" in html
        # What others did besides is no conflict.
        agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": "X"})
        done = send(agent, f"/tickets/{ticket['id']}/change", category="Software", was_category="Hardware")
        assert done.status_code == 303

    def test_says_once_what_is_sent_twice(self, agent: Client) -> None:
        ticket = agent.ticket()
        for _ in range(2):
            done = send(agent, f"/tickets/{ticket['id']}/comments", body="Hello", once="the-key-of-the-form")
            assert done.headers["location"] == f"/tickets/{ticket['id']}#latest"
        assert len(agent.get(f"/api/tickets/{ticket['id']}/comments").json()["items"]) == 1
        where = {send(agent, "/tickets", **FORM, once="another-key").headers["location"] for _ in range(2)}
        assert len(where) == 1

    def test_is_linked_and_merged_by_number(self, agent: Client) -> None:
        one, other = agent.ticket(title="One"), agent.ticket(title="Other")
        path = f"/tickets/{one['id']}"
        assert send(agent, f"{path}/link", kind="related", other=f"#{other['number']}").status_code == 303
        assert "Other" in page(agent.get(path))
        assert send(agent, f"{path}/unlink", other=other["id"]).status_code == 303
        html = page(send(agent, f"{path}/link", kind="merge", other="4711"), 422)
        assert "There is no such ticket" in html and 'value="4711"' in html
        assert send(agent, f"{path}/link", kind="merge", other=f"http://x/tickets/{other['id']}").status_code == 303
        assert "was merged into" in page(agent.get(path))
        assert send(agent, f"{path}/reopen").status_code == 303
        assert agent.get(f"/api/tickets/{one['id']}").json()["status"] == "open"

    def test_is_reached_by_its_number_by_whoever_may_see_it(self, agent: Client, person: Callable[..., Client]) -> None:
        grace = person("requester", "Grace")
        other, mine = agent.ticket(title="Not hers"), agent.ticket(title="Hers", requester="grace@example.org")
        said = f"Like #{other['number']}, not #99999."
        agent.post(f"/api/tickets/{mine['id']}/comments", json={"body": said})
        link = f'<a href="/tickets/{other["id"]}">#{other["number"]}</a>'
        assert link in page(agent.get(f"/tickets/{mine['id']}"))
        hers = page(grace.get(f"/tickets/{mine['id']}"))
        assert link not in hers and said in hers
        answer = agent.get(f"/tickets/{other['number']}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/tickets/{other['id']}")
        assert grace.get(f"/tickets/{mine['number']}", follow_redirects=False).status_code == 303
        for number in (other["number"], 99999, "0" * 12, "9" * 40, "٣"):
            assert "There is no such ticket" in page(grace.get(f"/tickets/{number}"), 404)
        agent.delete(f"/api/tickets/{other['id']}", headers={"if-match": "*"})
        assert agent.get(f"/tickets/{other['number']}", follow_redirects=False).status_code == 303

    def test_long_story_is_cut_and_told_whole_if_asked(self, agent: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("backend.web.pages.timeline.MOST_SHOWN", 3)
        ticket = agent.ticket()
        for number in range(5):
            agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": f"Comment number {number}"})
        html = page(agent.get(f"/tickets/{ticket['id']}"))
        assert "Show 2 earlier entries" in html and "Comment number 0" not in html
        assert "Comment number 0" in page(agent.get(f"/tickets/{ticket['id']}?all=1"))

    def test_story_of_more_text_than_a_page_takes_ends_with_the_latest(
        self, agent: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backend.web.pages.timeline.MOST_CHARACTERS", 50_000)
        ticket = agent.ticket()
        for number in range(5):
            body = f"Comment number {number} {'x' * 19_000}"
            agent.post(f"/api/tickets/{ticket['id']}/comments", json={"body": body})
        for path in (f"/tickets/{ticket['id']}", f"/tickets/{ticket['id']}?all=1"):
            html = page(agent.get(path))
            assert "3 earlier entries" in html and "Comment number 2" not in html
            assert "Comment number 3" in html and "Comment number 4" in html

    def test_offers_replies_filled_in(self, agent: Client) -> None:
        send(agent, "/admin/replies", title="Restart", body="Hello {{requester}}, about #{{number}}: restart it.")
        ticket = agent.ticket(requester="grace@example.org")
        html = page(agent.get(f"/tickets/{ticket['id']}"))
        assert f"Hello grace@example.org, about #{ticket['number']}: restart it." in html


class TestAdministration:
    def test_token_is_shown_once(self, admin: Client) -> None:
        answer = send(
            admin, "/admin/tokens", name="Ada", role="agent", email="ada@example.org", expires_on="2999-01-01"
        )
        secret = re.search(r'value="(tb_[^"]+)"', page(answer))
        assert secret and answer.headers["cache-control"] == "no-store"
        assert secret[1] not in page(admin.get("/admin/tokens"))
        assert admin.speaking(secret[1]).get("/api/tickets").status_code == 200
        revoke = re.search(r'action="(/admin/tokens/\w+/revoke)"', page(admin.get("/admin/tokens")))
        assert revoke and send(admin, revoke[1]).status_code == 303
        assert admin.speaking(secret[1]).get("/api/tickets").status_code == 401
        page(send(admin, "/admin/tokens", name="Ada", role="king"), 422)
        page(send(admin, "/admin/tokens", name="Ada", role="agent", expires_on="never"), 422)
        assert "token.revoked" in page(admin.get("/admin/audit?action=token.revoked"))

    def test_lists_that_tickets_draw_on(self, admin: Client) -> None:
        assert send(admin, "/admin/categories", name="Hardware", active="yes", once="k").status_code == 303
        html = page(admin.get("/admin/categories"))
        way, version = re.search(
            r'action="(/admin/categories/\w+)".*?name="version" value="(\d+)"', html, re.DOTALL
        ).groups()
        page(send(admin, "/admin/categories", name="HARDWARE", active="yes"), 409)
        page(send(admin, way, name="Devices", active="yes", version="7"), 412)
        assert send(admin, way, name="Devices", active="yes", version=version).status_code == 303
        assert "<option>Devices</option>" in page(admin.get("/tickets/new"))
        assert send(admin, way, act="remove", version=int(version) + 1).status_code == 303
        page(admin.get("/admin/nothing"), 404)
        assert send(admin, "/admin/teams", name="Network", active="yes").status_code == 303
        assert "Network" in page(admin.get("/admin/teams"))
        assert send(admin, "/admin/replies", title="Restart", body="Do it").status_code == 303
        assert "Restart" in page(admin.get("/admin/replies"))

    def test_promises(self, admin: Client) -> None:
        hours = {"monday": "09:00-12:00, 13:00-17:00", "time_zone": "Europe/Berlin", "holidays": "2026-12-25"}
        said = {"critical-first_response_minutes": "30", "critical-resolution_minutes": "4h", "version": "0"}
        assert send(admin, "/admin/sla", **hours, **said).status_code == 303
        kept = admin.get("/api/sla").json()
        assert kept["promises"]["critical"] == {"first_response_minutes": 30, "resolution_minutes": 240}
        assert kept["hours"]["monday"] == ["09:00-12:00", "13:00-17:00"]
        html = page(send(admin, "/admin/sla", **(hours | {"monday": "9-5"}), version="1"), 422)
        assert 'value="9-5"' in html
        page(send(admin, "/admin/sla", **hours, version="0"), 412)
        assert send(admin, "/admin/sla", **hours, version="9" * 5_000).status_code == 303  # no version: no condition
        page(send(admin, "/admin/sla", **(hours | {"holidays": "christmas"}), version="1"), 422)
        page(send(admin, "/admin/sla", **hours, **{"low-resolution_minutes": "soon"}, version="1"), 422)

    def test_webhooks(self, admin: Client) -> None:
        html = page(
            send(admin, "/admin/webhooks", url="https://hooks.example.org/x", active="yes", events="ticket.created")
        )
        assert re.search(r'value="whsec_[^"]+"', html)
        way = re.search(r'action="(/admin/webhooks/\w+)"', html)[1]
        assert "whsec_" not in page(admin.get(way))
        assert send(admin, way, act="ping").status_code == 303
        assert "<code>ping</code>" in page(admin.get(way))
        replay = re.search(r'value="(replay:\w+)"', page(admin.get(way)))[1]
        assert send(admin, way, act=replay).status_code == 303
        assert "whsec_" in page(send(admin, way, act="rotate"))
        page(send(admin, way, url="ftp://x", version="2"), 422)
        page(send(admin, "/admin/webhooks", url="https://x y"), 422)
        page(admin.get(f"{way}?state=dead"))
        page(admin.get("/admin/webhooks/nothing"), 404)
        assert send(admin, way, act="remove").headers["location"] == "/admin/webhooks"


class TestStatics:
    def test_are_named_by_content_and_kept_for_good(self, admin: Client) -> None:
        html = page(admin.speaking(None).get("/sign-in"))
        for url in re.findall(r'(?:src|href)="(/static/[^"]+)"', html):
            answer = admin.speaking(None).get(url)
            assert (
                answer.status_code == 200 and answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            )
            assert answer.headers["content-encoding"] == "gzip"
            assert "Set-Cookie" not in answer.headers
        assert admin.get("/static/app-000000000000.js").status_code == 404
        assert admin.get("/static/../main.py").status_code == 404

    def test_weigh_little(self) -> None:
        assert sum(len(asset.answer.packed) for asset in statics.assets().values()) < 30_000

    def test_html_is_packed_for_those_who_unpack(self, agent: Client) -> None:
        agent.ticket()
        assert agent.get("/queue").headers["content-encoding"] == "gzip"
        assert "content-encoding" not in agent.get("/queue", headers={"accept-encoding": "identity"}).headers


PUBLIC = {"/sign-in", "/static/{name}", "/sign-out"}
FOR_ALL = {"/", "/queue", "/tickets/new", "/tickets", "/tickets/{ticket_id}", "/admin"}
FOR_ADMINS = ("/admin/tokens", "/admin/audit", "/admin/sla", "/admin/webhooks")


def walk() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for part in pages.PARTS
        for route in part.router_.routes
        for method in sorted(route.methods)
    ]


def test_every_page_keeps_to_its_role(app: FastAPI, admin: Client, person: Callable[..., Client]) -> None:
    """A stranger is asked to sign in; a requester meets 403 on what is for others and 404 on what is another's."""
    agent, requester, stranger = person("agent", "Ada"), person("requester", "Grace"), admin.speaking(None)
    ticket = admin.ticket()
    names = dict.fromkeys(
        ("ticket_id", "attachment_id", "memory_id", "token_id", "record_id", "view_id", "webhook_id"), ticket["id"]
    )
    assert len(walk()) > 35
    for method, path in walk():
        address = path.format(**names, name="categories")
        if path not in PUBLIC:
            answer = stranger.request(
                method, address, data={"body": "x"} if method == "POST" else None, follow_redirects=False
            )
            asked = (
                answer.headers.get("location", "").startswith("/sign-in")
                if method == "GET"
                else answer.status_code == 401
            )
            assert asked, f"stranger {method} {path}: {answer.status_code}"
        for who, role in ((requester, "requester"), (agent, "agent")):
            if path in PUBLIC:
                continue
            answer = who.request(
                method, address, data={"body": "x"} if method == "POST" else None, follow_redirects=False
            )
            status = answer.status_code
            assert status < 500, f"{role} {method} {path}: {status}"
            if path.startswith(FOR_ADMINS) or (role == "requester" and path.startswith("/admin/")):
                assert status == 403, f"{role} {method} {path}: {status}"
            elif role == "requester" and "{ticket_id}" in path:
                assert status == 404, f"{role} {method} {path}: {status}"
            elif role == "requester" and path not in FOR_ALL:
                assert status == 403, f"{role} {method} {path}: {status}"


def test_requester_never_meets_what_is_for_agents(admin: Client, person: Callable[..., Client]) -> None:
    requester = person("requester", "Grace")
    ticket = requester.ticket()
    admin.post(f"/api/tickets/{ticket['id']}/comments", json={"body": "A secret of agents", "internal": True})
    admin.patch(f"/api/tickets/{ticket['id']}", json={"watchers": ["lin@example.org"]})
    for path in ("/queue", f"/tickets/{ticket['id']}", "/tickets/new"):
        html = page(requester.get(path))
        for words in (
            "A secret of agents",
            "lin@example.org",
            "Internal note",
            "Administration",
            "/memories",
            "Dashboard",
        ):
            assert words not in html, f"{path}: {words}"
    refused = send(requester, f"/tickets/{ticket['id']}/comments", body="X", internal="yes")
    page(refused, 403)
    page(send(requester, f"/tickets/{ticket['id']}/change", status="closed"), 403)


@pytest.mark.parametrize("internal", ["yes", "on", "true", "1", " yes", "no", " "])
def test_a_note_is_internal_whatever_its_box_says(agent: Client, internal: str) -> None:
    ticket = agent.ticket()
    send(agent, f"/tickets/{ticket['id']}/comments", body="A note", internal=internal)
    (said,) = agent.get(f"/api/tickets/{ticket['id']}/comments").json()["items"]
    assert said["internal"]


def test_pages_are_no_part_of_the_description(app: FastAPI) -> None:
    assert all(path.startswith(("/api", "/health", "/metrics")) for path in app.openapi()["paths"])


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/queue/", "/queue"),
        ("/queue///?status=open&q=a%2Fb", "/queue?status=open&q=a%2Fb"),
        ("/api/tickets/", "/api/tickets"),
        ("/%2Fevil.example.org/queue/", None),
        ("/tickets/ä/", "/tickets/%C3%A4"),
        ("/nowhere/", None),
    ],
)
def test_a_slash_too_many_leads_to_a_path_and_to_no_host(admin: Client, asked: str, led_to: str | None) -> None:
    answer = admin.get(asked, headers={"host": "evil.example.org"}, follow_redirects=False)
    assert answer.headers.get("location") == led_to
    assert answer.status_code == (307 if led_to else 404)
