"""What happens to every request, as one plain ASGI layer: an id, one log line, figures, and a last resort."""

import logging
import re
import secrets
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.domain.reading import READER, WATCH, Reader
from backend.logs import log, request_id
from backend.watchdog import watched
from backend.web import metrics
from backend.web.answers import problem_answer
from backend.web.guard import address_in

logger = logging.getLogger("backend.web")
_is_request_id = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch

CLIENT_GONE = 499  # nginx's number for it; only in logs and metrics, nobody is there to read an answer
_UNAVAILABLE = 503
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ONLY_READ = frozenset({"GET", "HEAD"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer a form would send `Origin: null` (see credentials.py)
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")  # a year, this host alone
# With a cookie, unlike with a bearer token, a proxy's cache might think an answer is for everybody.
_NOT_SHARED = (b"cache-control", b"private, no-cache")


class Edge:
    """Wraps the application. Unknown errors become a 500 without details, logged once with the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        WATCH.observe = metrics.read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identity = _identity(scope)
        token = request_id.set(identity.decode("ascii"))
        reader = _reader(scope)
        on_behalf = READER.set(reader)
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity), *_HEADERS]
                if scope["scheme"] == "https":
                    message["headers"].append(_ONLY_HTTPS)
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append(_NOT_SHARED)
            await send(message)

        metrics.begin()
        try:
            await watched(self._answer(scope, receive, send_marked), lambda: _name(scope))
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            logger.exception("an unexpected error")
            if status:
                raise  # half an answer is out: let the server cut the connection
            answer = problem_answer(500, "Internal Server Error", "Something went wrong here; the log says what.")
            await answer(scope, receive, send_marked)
        finally:
            READER.reset(on_behalf)
            if status == _UNAVAILABLE and reader.is_gone():
                status = CLIENT_GONE
            _record(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _reader(scope: Scope) -> Reader:
    """On whose behalf this request reads. What may write is carried through, whoever still listens."""
    reader = Reader(address_in(scope))
    if scope["method"] in _ONLY_READ:
        reader.is_refusable = True
        reader.is_gone = scope.get("state", {}).get("is_gone", reader.is_gone)
    return reader


def _identity(scope: Scope) -> bytes:
    """The X-Request-ID that a proxy gave, if it is a harmless word, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _is_request_id(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    metrics.end(method, route, status, seconds)
    level = logging.DEBUG if route.startswith(("/health", "/metrics")) else logging.INFO
    log(logger, level, "request", method=method, route=route, status=status, ms=round(seconds * 1000, 2))


def _name(scope: Scope) -> str:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return f"{method} {_route(scope)}"


def _route(scope: Scope) -> str:
    """The pattern that matched, such as `/api/tickets/{ticket_id}`."""
    found: Any = scope.get("route")
    return getattr(found, "path", None) or "none"
