"""Answers that are the same for everybody: made once in a process, packed once, kept by clients under their ETag."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Callable, Mapping

from fastapi import Request
from starlette.responses import Response

from backend.web.deps import none_match

_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


class Prepared:
    """An answer as bytes, plain and packed."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._body, self.packed = body, gzip.compress(body, 9, mtime=0)
        self._headers = {**headers, "content-type": media_type, "vary": "accept-encoding"}

    def answer(self, request: Request) -> Response:
        """The answer to this request, or 304."""
        packs = takes_gzip(request)
        etag = f'{self._etag[:-1]}-gzip"' if packs else self._etag
        headers = {**self._headers, "etag": etag}
        if none_match(request, etag):
            del headers["content-type"]
            return Response(status_code=304, headers=headers)
        if packs:
            headers["content-encoding"] = "gzip"
        return Response(self.packed if packs else self._body, headers=headers)


class Once:
    """Makes such an answer when it is first asked for, in a thread, whoever else asks meanwhile."""

    def __init__(self, make: Callable[[], Prepared]) -> None:
        self._make = make
        self._making: asyncio.Task[Prepared] | None = None

    async def get(self) -> Prepared:
        """The answer. Who asks first may go away: it is made all the same."""
        if self._making is None or self._making.cancelled() or (self._making.done() and self._making.exception()):
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._making)


def takes_gzip(request: Request) -> bool:
    """Whether the client unpacks gzip."""
    accepted = _GZIP.search(request.headers.get("accept-encoding", ""))
    return accepted is not None and (accepted[1] is None or accepted[1].strip("0.") != "")
