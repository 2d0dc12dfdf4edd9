"""A client of the application without a network."""

from typing import Any
from urllib.parse import unquote

import anyio
import httpx2 as httpx
from starlette.testclient import TestClient


class Whole(httpx.BaseTransport):
    """Runs a request on the application's event loop until its answer is whole.

    That is one hop to the loop's thread. Starlette's own transport takes eight, so that answers can be read while they
    come, and they were half of what the API's tests took.
    """

    def __init__(self, client: TestClient, raises: bool, address: tuple[str, int]) -> None:
        self._client = client
        self._raises = raises
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; where the application fails before it has one, 500 or its exception."""
        body = request.read()
        answer = _Answer(body)
        with self._client._portal_factory() as portal:
            try:
                portal.call(self._run, self._scope(request), answer)
            except Exception:
                if self._raises:
                    raise
        content = b"" if request.method == "HEAD" else b"".join(answer.body)
        stream = httpx.ByteStream(content)  # not `content`, which would write a Content-Length of its own
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, request=request)

    async def _run(self, scope: dict[str, Any], answer: "_Answer") -> None:
        answer.ended = anyio.Event()
        await self._client.app(scope, answer.receive, answer.send)

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        url = request.url
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": unquote(url.path),
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "root_path": "",
            "scheme": url.scheme,
            "query_string": url.query,
            "headers": [(key.lower().encode(), value.encode()) for key, value in request.headers.multi_items()],
            "client": self._address,
            "server": [url.host, url.port or {"http": 80, "https": 443}[url.scheme]],
            "extensions": {},
            "state": self._client.app_state.copy(),
        }


class _Answer:
    """What the application is given, and what it answers."""

    ended: anyio.Event

    def __init__(self, body: bytes) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self._asked: bytes | None = body

    async def receive(self) -> dict[str, Any]:
        """The request's body, whole; after it the end, once the answer is."""
        if self._asked is None:
            await self.ended.wait()
            return {"type": "http.disconnect"}
        body, self._asked = self._asked, None
        return {"type": "http.request", "body": body}

    async def send(self, message: dict[str, Any]) -> None:
        """A piece of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        else:
            self.body.append(bytes(message.get("body", b"")))
            if not message.get("more_body"):
                self.ended.set()


class Client(TestClient):
    """A test client that speaks for one token."""

    token: str | None = None

    def __init__(
        self,
        app: Any,
        raise_server_exceptions: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        **more: Any,
    ) -> None:
        super().__init__(app, raise_server_exceptions=raise_server_exceptions, client=client, **more)
        self._transport = Whole(self, raise_server_exceptions, client)

    def speaking(self, token: str | None) -> "Client":
        """The same application, another token. They share an event loop; each having one would double what a request takes."""
        other = Client(self.app, raise_server_exceptions=False)
        other.portal = self.portal
        other.token = token
        other.headers.update({"authorization": f"Bearer {token}"} if token else {})
        return other

    def ticket(self, **fields: Any) -> dict[str, Any]:
        """File a ticket; its JSON."""
        body = {"title": "Printer", "description": "Blank pages", "severity": "low", "category": "Hardware"}
        answer = self.post("/api/tickets", json=body | fields)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def attach(self, ticket_id: str, content: bytes, name: str = "a.txt", kind: str | None = None) -> httpx.Response:
        """Attach one file."""
        file = (name, content, kind) if kind else (name, content)
        return self.post(f"/api/tickets/{ticket_id}/attachments", files={"files": file})
