"""Work that is asked for."""

import asyncio
import json
import random
from dataclasses import replace

from tests.siege.attacking import Report, Target, ask, attack, flood, parts_of, posted


@attack
async def guesses(target: Target, report: Report) -> None:
    """Wrong tokens and sessions."""

    def guess() -> bytes:
        word = f"{random.getrandbits(120):030x}"
        field = random.choice([f"Authorization: Bearer {word}", f"Cookie: ticket_session={word * 2}"])
        return f"GET /api/tickets HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n".encode()

    await flood(report, target, 8, guess)


@attack
async def silent_webhooks(target: Target, report: Report) -> None:
    """Webhooks to a receiver that takes connections and says nothing, and tickets that are told to it."""
    listening = await asyncio.start_server(lambda *_: asyncio.sleep(3_600), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    as_admin = replace(target, token=target.admin)
    for number in range(10):
        draft = {"url": f"http://127.0.0.1:{port}/{number}", "events": []}
        report.step(await ask(target, posted(as_admin, "/api/webhooks", json.dumps(draft).encode())))
    draft = b'{"title":"T","severity":"low","category":"C","description":"D"}'
    await flood(report, target, 2, lambda: posted(target, "/api/tickets", draft))


@attack
async def imports(target: Target, report: Report) -> None:
    """A table of 5,000 tickets comes in; then another one."""
    while True:
        mark = f"{random.getrandbits(24):06x}"
        rows = "".join(f"{mark}{number},Printer {number},{'blank pages ' * 20}\r\n" for number in range(5_000))
        mapping = {
            "columns": {"n": "external_id", "t": "title", "d": "description"},
            "defaults": {"category": "Imported", "requester": "helpdesk@example.org"},
        }
        body = parts_of(
            b'Content-Disposition: form-data; name="mapping"\r\n\r\n' + json.dumps(mapping).encode(),
            b'Content-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\nn,t,d\r\n' + rows.encode(),
        )
        as_admin = replace(target, token=target.admin)
        report.step(await ask(target, posted(as_admin, "/api/imports", body, "multipart/form-data; boundary=b")))
        await asyncio.sleep(2)
