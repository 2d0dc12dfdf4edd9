"""What a page's form sent: fields, and files that are taken in on the way."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from backend.domain.access import Caller
from backend.domain.once import KEPT_FOR_HOURS, AlreadyDone, Once
from backend.domain.text import clean_line
from backend.domain.values import fingerprint, instant
from backend.errors import InvalidInput, PreconditionFailed, UnsupportedType
from backend.ports import Ports
from backend.usecases.attachments import Uploads
from backend.web import forms

_URLENCODED = "application/x-www-form-urlencoded"
_MOST_FIELDS = 500
_LONGEST_KEY = 100
_LONGEST_VERSION = 15  # digits


class Fields:
    """The fields of a form, in the order sent. Line ends are single line feeds, as everywhere but in forms."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = [(name, value.replace("\r\n", "\n")) for name, value in pairs]

    def one(self, name: str) -> str:
        """The field's text; empty if it was not sent."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field, without empty ones."""
        return [value for key, value in self._pairs if key == name and value.strip()]

    def words(self, name: str) -> list[str]:
        """A field whose values are separated by commas."""
        return [word for word in map(clean_line, self.one(name).split(",")) if word]

    def has(self, name: str) -> bool:
        """Whether it was sent with a text."""
        return bool(self.one(name).strip())

    def versions(self) -> list[int] | None:
        """The version that the form was made of, as a condition; none where it holds no such number."""
        seen = self.one("version")
        return [int(seen)] if seen.isascii() and seen.isdigit() and len(seen) <= _LONGEST_VERSION else None

    def items(self) -> list[tuple[str, str]]:
        """All of them."""
        return self._pairs


async def read(request: Request, uploads: Uploads | None = None) -> Fields:
    """The form. Raises InvalidInput, TooLarge, UnsupportedType. `uploads` takes its files, if it may have any."""
    kind = forms.media_type(request)
    if kind == "multipart/form-data":
        return Fields(await _from_parts(request, uploads))
    body = await forms.read_limited(request) if kind in ("", _URLENCODED) else b""
    if kind != _URLENCODED and (kind or body):
        raise UnsupportedType("This address takes a form of its page.")
    try:
        pairs = parse_qsl(body.decode("ascii"), True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidInput("The form is broken, or holds text that is not UTF-8.") from None
    return Fields(pairs)


async def _from_parts(request: Request, uploads: Uploads | None) -> list[tuple[str, str]]:
    pairs = []
    async for part in forms.read_parts(request):
        if part.filename is None:
            pairs.append((part.name, await part.text()))
        elif part.filename:  # a file input that was left empty sends a part without a name
            if uploads is None:
                raise InvalidInput("This form takes no files.")
            await uploads.take(part.filename, part.content_type, part.chunks)
    return pairs


async def promise(
    request: Request, ports: Ports, caller: Caller, fields: Fields, answer: Callable[[Any], str]
) -> Once | None:
    """The form's hidden key makes it take effect once, however often it is sent; `answer` says where to go then.

    Raises AlreadyDone where it has taken effect before.
    """
    raw = fields.one("once")
    if not raw or len(raw) > _LONGEST_KEY:
        return None
    key = fingerprint("page", caller.token_id, request.url.path, raw)
    receipt = await ports.tickets.find_receipt(key)
    if receipt:
        raise AlreadyDone(receipt)
    return Once(key, fingerprint(request.url.path, raw), _expiry(), lambda result: answer(result).encode())


def _expiry() -> str:
    return instant((int(time.time()) + KEPT_FOR_HOURS * 3600) * 1_000_000)


def must_be_as_seen(fields: Fields, name: str, present: Any) -> None:
    """Raises PreconditionFailed where a field is no longer what it was when the form was made (`was_<name>`)."""
    seen = [value for key, value in fields.items() if key == f"was_{name}"]
    if seen and seen[0] != present:
        shown = f"{name.replace('_', ' ')} is {present.replace('_', ' ') or 'empty'} now"
        raise PreconditionFailed(f"Somebody else was faster: {shown}. Nothing was changed; look and try again.")
