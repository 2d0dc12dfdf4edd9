"""`Idempotency-Key`: the same request again gets the first answer again; the key with another request gets 422.

A kept answer is sealed with the secret the caller signed in with (token or session), which is stored nowhere: a
stolen database shows neither what was answered nor, in particular, the secret of a new token. The seal is an XOR with
SHAKE-256 of secret, key and a random nonce. For the same reason a key belongs to that secret: signed in anew, or with
the token in place of the session, the same key is another one.
"""

import hashlib
import json
import re
import secrets
import time
import zlib
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from backend.domain.access import Caller, hash_secret
from backend.domain.once import KEPT_FOR_HOURS, AlreadyDone, Once, Receipt
from backend.domain.values import fingerprint, instant
from backend.errors import InvalidInput, Unprocessable
from backend.ports import Ports
from backend.usecases import quotas
from backend.web.answers import problem_answer
from backend.web.credentials import secret_of

HEADER = "idempotency-key"
_is_key = re.compile(r"[\x21-\x7e]{1,255}").fullmatch
_NONCE_BYTES = 16
_PACKED = b"z"

PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": f"1 to 255 visible ASCII characters. The same key and request within {KEPT_FOR_HOURS} hours gets "
    "the first answer again, marked `Idempotency-Replayed: true`, and takes no effect; another request gets 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "6f1c3b52-5d52-4c59-9a0e-3a1b1f1d0c55",
}


async def once(
    request: Request,
    ports: Ports,
    caller: Caller,
    content: Any,
    answer: Callable[[Any], Response],
    secret: str | None = None,
) -> Once | None:
    """The promise for this request, None without the header. `content` is what the body says, as JSON-able values;
    `secret` is what the caller signs in with, where that is in the body too.

    Raises AlreadyDone where the key was used before, InvalidInput where it is no key.
    """
    raw = request.headers.get(HEADER)
    if raw is None:
        return None
    if not _is_key(raw):
        raise InvalidInput("Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces.")
    secret = secret or secret_of(request)
    key = fingerprint("receipt", caller.token_id, hash_secret(secret), raw)
    print_ = fingerprint(request.method, request.url.path, content)
    seal_key = f"{secret}\n{raw}".encode("utf-8", "surrogateescape")
    request.state.idempotency = (print_, seal_key)
    receipt = await ports.tickets.find_receipt(key)
    if receipt:
        raise AlreadyDone(receipt)
    await quotas.count_receipt(ports, caller)
    expires = instant((int(time.time()) + KEPT_FOR_HOURS * 3600) * 1_000_000)
    return Once(key, print_, expires, lambda result: _seal(seal_key, _encode(answer(result))))


def replay(request: Request, receipt: Receipt) -> Response:
    """The kept answer, or 422 where the key was used for another request."""
    print_, seal_key = request.state.idempotency
    if receipt.fingerprint != print_:
        used = Unprocessable("This Idempotency-Key was used for another request; take a new one.")
        return problem_answer(422, "Unprocessable Entity", str(used))
    return _decode(_unseal(seal_key, receipt.answer))


def _encode(answer: Response) -> bytes:
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in answer.raw_headers
        if name != b"content-length"
    ]
    plain = json.dumps([answer.status_code, headers]).encode() + b"\n" + bytes(answer.body)
    return _PACKED + zlib.compress(plain, 1)


def _decode(kept: bytes) -> Response:
    if kept.startswith(_PACKED):  # an earlier version kept it as it was, from "[" on
        kept = zlib.decompress(kept[len(_PACKED) :])
    head, _, body = kept.partition(b"\n")
    status, headers = json.loads(head)
    answer = Response(body, status)
    for name, value in headers:
        answer.headers[name] = value
    answer.headers["idempotency-replayed"] = "true"
    return answer


def _seal(key: bytes, plain: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _xored(key, nonce, plain)


def _unseal(key: bytes, sealed: bytes) -> bytes:
    return _xored(key, sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:])


def _xored(key: bytes, nonce: bytes, data: bytes) -> bytes:
    stream = hashlib.shake_256(nonce + key).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
