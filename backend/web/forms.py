"""Bodies: JSON within a limit, and multipart forms read part by part as they arrive, never whole."""

import re
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from backend.errors import InvalidInput, TooLarge, Unprocessable, UnsupportedType
from backend.web.aside import aside
from backend.web.errors import MOST_PROBLEMS, too_many

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

LARGEST_JSON = 2 * 1024 * 1024  # a text of 100,000 characters takes 1.2 MB where each is escaped
LARGEST_FIELD = 512 * 1024
LARGEST_FORM = 8 * 1024 * 1024  # of a page: what is too long for a ticket comes back in the page, with why
MOST_PARTS = 100
MOST_VALUES = 20_000
"""In one body of JSON: each may cost a thousand times its bytes. The largest mapping of an import has 14,000."""
_LARGE = 16 * 1024  # bytes that are not parsed on the event loop
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)

Draft = TypeVar("Draft", bound=BaseModel)


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def read_json(request: Request, *allowed: str) -> bytes:
    """The body. Raises UnsupportedType unless it says it is JSON (or one of `allowed`), TooLarge."""
    kind = media_type(request)
    if kind != "application/json" and kind not in allowed:
        expected = " or ".join(("application/json", *allowed))
        raise UnsupportedType(f"The body must be {expected}, not {kind or 'without a Content-Type'}.")
    body = await read_limited(request)
    if not body:
        raise InvalidInput("The body is empty; it must be JSON.")
    return body


async def read_draft(request: Request, model: type[Draft], *allowed: str) -> Draft:
    """The body as `model`. Raises what `read_json` and `draft_of` do."""
    return await draft_of(model, await read_json(request, *allowed))


async def draft_of(model: type[Draft], body: bytes) -> Draft:
    """JSON as `model`, a large one read aside. Raises ValidationError, Unprocessable."""
    return _parsed(model, body) if len(body) < _LARGE else await aside(len(body), _parsed, model, body)


def _parsed(model: type[Draft], body: bytes) -> Draft:
    # More texts than are taken out here would be too many values anyway, and one call must not go on for long.
    if _count_values(body) > MOST_VALUES and _count_values(_STRING.sub(b"", body, 3 * MOST_VALUES)) > MOST_VALUES:
        raise Unprocessable(f"The JSON may hold at most {MOST_VALUES:,} values.")
    try:
        return model.model_validate_json(body)
    except ValidationError as problem:
        if problem.error_count() <= MOST_PROBLEMS:
            raise
        raise too_many(problem) from None


def _count_values(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


async def read_limited(request: Request, most: int = LARGEST_JSON) -> bytes:
    """The body, whatever it is. Raises TooLarge past `most` bytes, without reading on."""
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The body may have at most {most // 1024} KiB.")
        chunks.append(chunk)
    return b"".join(chunks)


class Part:
    """One part of a form: a field, or a file where it has a file name."""

    def __init__(self, headers: dict[str, bytes], chunks: AsyncIterator[bytes]) -> None:
        disposition, options = parse_options_header(headers.get("content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise InvalidInput("A part of the form has no name.")
        self.name = _decoded(options[b"name"])
        self.filename = _file_name(options[b"filename"]) if b"filename" in options else None
        self.content_type = headers.get("content-type", b"").decode("latin-1") or None
        self.chunks = chunks

    async def text(self, most: int = LARGEST_FIELD) -> str:
        """A field's text of at most so many bytes. Raises TooLarge, InvalidInput (not UTF-8)."""
        collected = bytearray()
        async for chunk in self.chunks:
            collected += chunk
            if len(collected) > most:
                raise TooLarge(f"A field of the form may have at most {most // 1024} KiB.")
        return _decoded(bytes(collected))


def _file_name(raw: bytes) -> str:
    """As the HTML Standard has browsers write it: these three are escaped, and a percent sign itself is not."""
    return _decoded(raw).replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("The form holds text that is not UTF-8.") from None


async def read_parts(request: Request) -> AsyncIterator[Part]:
    """The parts of a multipart form. Each must be read to its end before the next one is asked for.

    Raises InvalidInput where the form is broken or cut off, TooLarge past MOST_PARTS parts.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise InvalidInput("The body must be multipart/form-data with a boundary of 1 to 70 characters.")
    reader = _Reader(request, boundary)
    count = 0
    while await reader.reach("headers"):
        count += 1
        if count > MOST_PARTS:
            raise TooLarge(f"A form may have at most {MOST_PARTS} parts.")
        part = Part(reader.headers, reader.data())
        yield part
        async for _ in part.chunks:
            pass  # whatever the caller left unread


class _Reader:
    """Feeds the body to the parser, and hands out what it finds, one event after the other."""

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._body = request.stream()
        self._found: deque[tuple[str, Any]] = deque()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._finished = False
        self._collecting: dict[str, bytes] = {}
        self.headers: dict[str, bytes] = {}
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": lambda: self._found.append(("headers", self._collecting)),
            "on_part_data": lambda data, start, end: self._found.append(("data", data[start:end])),
            "on_part_end": lambda: self._found.append(("end", None)),
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks, max_header_count=16, max_header_size=8 * 1024)
        except MultipartParseError as problem:
            raise InvalidInput(f"The form is broken: {problem}.") from problem

    def _on_part_begin(self) -> None:
        self._collecting = {}

    def _on_header_end(self) -> None:
        self._collecting[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_end(self) -> None:
        self._finished = True

    async def reach(self, wanted: str) -> bool:
        """Go on to the next part's headers; False at the end of the form."""
        event = await self._next()
        if event is None:
            return False
        assert event[0] == wanted
        self.headers = event[1]
        return True

    async def data(self) -> AsyncIterator[bytes]:
        """The bytes of the present part."""
        while True:
            event = await self._next()
            if event is None:
                raise InvalidInput("The form is cut off in the middle of a part.")
            if event[0] == "end":
                return
            yield event[1]

    async def _next(self) -> tuple[str, Any] | None:
        while not self._found:
            try:
                chunk = await anext(self._body)
            except StopAsyncIteration:
                break
            try:
                self._parser.write(chunk)
            except MultipartParseError as problem:
                raise InvalidInput(f"The form is broken: {problem}.") from problem
        if self._found:
            return self._found.popleft()
        if not self._finished:
            raise InvalidInput("The form is cut off: its closing boundary is missing.")
        return None
