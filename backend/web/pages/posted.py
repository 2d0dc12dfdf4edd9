"""What a page's form sent: fields, and files that are taken in on the way."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from backend.domain.access import Caller
from backend.domain.once import KEPT_FOR_HOURS, AlreadyDone, Once
from backend.domain.text import clean_line
from backend.domain.values import fingerprint, instant
from backend.errors import InvalidInput, NoSpace, PreconditionFailed, RequestError, Unavailable, UnsupportedType
from backend.ports import Ports
from backend.usecases import quotas
from backend.usecases.attachments import Uploads
from backend.web import forms

_URLENCODED = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500
_LONGEST_KEY = 100
_LONGEST_VERSION = 15  # digits
_LONGEST_LIST = 20_000  # characters; each list that is taken is shorter by far
_LARGE = 256 * 1024  # a body that is not parsed on the event loop
_READ_ON = 64 * 1024 * 1024


def one_line_end(text: str) -> str:
    """With single line feeds, as everywhere but in forms."""
    return text.replace("\r\n", "\n")


class Fields:
    """The fields of a form, in the order sent. Line ends are single line feeds, as everywhere but in forms."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = [(name, one_line_end(value)) for name, value in pairs]
        self.files: list[str] = []
        """The names of the files that came with it."""
        self.digests: list[str] = []
        """Of those that were kept, their content."""

    def add(self, name: str, value: str) -> None:
        """One more, as it comes in."""
        self._pairs.append((name, one_line_end(value)))

    def one(self, name: str) -> str:
        """The field's text; empty if it was not sent."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field, without empty ones."""
        return [value for key, value in self._pairs if key == name and value.strip()]

    def words(self, name: str) -> list[str]:
        """A field whose values are separated by commas."""
        return [word for word in map(clean_line, self.one(name)[:_LONGEST_LIST].split(",")) if word]

    def has(self, name: str) -> bool:
        """Whether it was sent with a text."""
        return bool(self.one(name).strip())

    def was_sent(self, name: str) -> bool:
        """Whether it was sent, be it empty."""
        return any(key == name for key, _ in self._pairs)

    def versions(self) -> list[int] | None:
        """The version that the form was made of, as a condition; none where it holds no such number."""
        seen = self.one("version")
        return [int(seen)] if seen.isascii() and seen.isdigit() and len(seen) <= _LONGEST_VERSION else None

    def items(self) -> list[tuple[str, str]]:
        """All of them."""
        return self._pairs


async def read(
    request: Request, uploads: Uploads | None = None, fields: Fields | None = None, most: int = forms.LARGEST_FORM
) -> Fields:
    """The form, into `fields` if given, so that what was typed is there even where something else is refused.

    `uploads` takes its files, if it may have any; `most` is the bytes of the rest. Raises InvalidInput, TooLarge,
    UnsupportedType.
    """
    fields = Fields([]) if fields is None else fields
    kind = forms.media_type(request)
    if kind == "multipart/form-data":
        await _read_parts(request, uploads, fields, most)
        return fields
    body = await forms.read_limited(request, most) if kind in ("", _URLENCODED) else b""
    if kind != _URLENCODED and (kind or body):
        raise UnsupportedType("This address takes a form of its page.")
    parsed = _pairs(body) if len(body) < _LARGE else await asyncio.to_thread(_pairs, body)
    for name, value in parsed:
        fields.add(name, value)
    return fields


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("ascii"), True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidInput("The form is broken, or holds text that is not UTF-8.") from None


async def _read_parts(request: Request, uploads: Uploads | None, fields: Fields, most: int) -> None:
    """Also past a file that is refused, as far as _READ_ON bytes: the texts that follow it are to be kept."""
    problem: RequestError | None = None
    async for part in forms.read_parts(request):
        if part.filename is None:
            text = await part.text(most)
            fields.add(part.name, text)
            most -= len(text.encode())
        elif part.filename:  # a file input that was left empty sends a part without a name
            fields.files.append(part.filename)
            if problem is None:
                problem = await _refusal(part, uploads, fields)
            if problem is not None:
                await _skip(part, problem)
    if problem is not None:
        raise problem


async def _refusal(part: forms.Part, uploads: Uploads | None, fields: Fields) -> RequestError | None:
    if uploads is None:
        return InvalidInput("This form takes no files.")
    try:
        await uploads.take(part.filename, part.content_type, part.chunks)
    except NoSpace as problem:
        return problem
    except Unavailable:
        raise
    except RequestError as problem:
        return problem
    fields.digests.append(f"{part.filename} {uploads.files[-1].sha256}")
    return None


async def _skip(part: forms.Part, problem: RequestError) -> None:
    passed = 0
    async for chunk in part.chunks:
        passed += len(chunk)
        if passed > _READ_ON:
            raise problem


async def promise(
    request: Request, ports: Ports, caller: Caller, fields: Fields, answer: Callable[[Any], str]
) -> Once | None:
    """The form's hidden key makes it take effect once, however often it is sent; `answer` says where to go then.

    With another content it is another act: who goes back in the browser sends the same key with what they write next.
    Raises AlreadyDone where it has taken effect before.
    """
    raw = fields.one("once")
    if not raw or len(raw) > _LONGEST_KEY:
        return None
    content = fingerprint([pair for pair in fields.items() if pair[0] != "once"], fields.digests)
    key = fingerprint("page", caller.token_id, request.url.path, raw, content)
    receipt = await ports.tickets.find_receipt(key)
    if receipt:
        raise AlreadyDone(receipt)
    await quotas.count_receipt(ports, caller)
    return Once(key, content, _expiry(), lambda result: answer(result).encode())


def _expiry() -> str:
    return instant((int(time.time()) + KEPT_FOR_HOURS * 3600) * 1_000_000)


def must_be_as_seen(fields: Fields, name: str, present: Any) -> None:
    """Raises PreconditionFailed where a field is no longer what it was when the form was made (`was_<name>`)."""
    seen = [value for key, value in fields.items() if key == f"was_{name}"]
    if seen and seen[0] != present:
        shown = f"{name.replace('_', ' ')} is {present.replace('_', ' ') or 'empty'} now"
        raise PreconditionFailed(
            f"Somebody else changed this meanwhile: {shown}. Nothing was saved; check it and try again."
        )
