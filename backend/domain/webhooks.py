"""Webhooks: who is told of events, signed as Standard Webhooks has it, and when to try again."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from backend.domain.catalogue import Kind, Record, new_record
from backend.domain.events import is_history, name_of
from backend.domain.text import clean_text
from backend.domain.tickets import Position
from backend.domain.values import TEXT, Cleaned, Instant, instant_of, new_id

MOST_WEBHOOKS = 50
BOTH_SECRETS_SECONDS = 24 * 3600
SECRET_BYTES = 32
PING = "ping"

# After each failure, until the next attempt; over three days in all, then it is a dead letter.
DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
LONGEST_RETRY_AFTER = 86_400
JITTER = 0.2
LONGEST_PROBLEM = 300

_is_word = re.compile(r"[\x21-\x7e]{1,2000}").fullmatch
_is_host = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}").fullmatch


def checked_url(text: str) -> str:
    """The address, if messages can be posted to such a one. Raises ValueError."""
    if not _is_word(text):
        raise ValueError("must be visible ASCII characters without spaces, at most 2000")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must start with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password; verify the signature instead")
    if not parts.hostname or not _is_host(parts.hostname) or parts.netloc.endswith(":"):
        raise ValueError("must name a host")
    if parts.port == 0:
        raise ValueError("must have a port from 1 to 65535, or none")
    if parts.fragment:
        raise ValueError("must not have a fragment (#)")
    return text


def _no_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


Url = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(checked_url)]
Description = Annotated[str, StringConstraints(pattern=TEXT), Cleaned(clean_text, 500)]
EventName = Annotated[str, StringConstraints(max_length=60, pattern=r"^ticket\.[a-z][a-z_]*$")]
EventNames = Annotated[tuple[EventName, ...], Field(max_length=50), AfterValidator(_no_repeats)]


class WebhookDraft(BaseModel):
    """What an administrator says of a new webhook."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"url": "https://chat.example.org/hooks/7", "events": ["ticket.created", "ticket.resolved"]}]
        },
    )

    url: Url
    description: Description = ""
    events: EventNames = Field(default=(), description="the kinds of event that are sent; all, if empty")
    active: bool = True
    internal: bool = Field(default=False, description="also events of internal notes")


class WebhookChange(BaseModel):
    """A JSON merge patch of a webhook."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"active": False}]})

    # None only marks "not named": a null is refused, since the types have no None.
    url: Url = None  # type: ignore[assignment]
    description: Description = None  # type: ignore[assignment]
    events: EventNames = None  # type: ignore[assignment]
    active: bool = None  # type: ignore[assignment]
    internal: bool = None  # type: ignore[assignment]

    def named(self) -> dict[str, Any]:
        """The fields that the patch names, with their new values."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as its record keeps it. The secrets are kept as they are, since they sign: never show the record."""

    record: Record
    url: str
    description: str
    events: tuple[str, ...]
    active: bool
    internal: bool
    since: int
    """The position of the newest event when it became active; it hears of later ones."""
    secret: str
    old_secret: str | None
    old_secret_until: Instant | None
    disabled_reason: str | None

    @property
    def id(self) -> str:
        """The record's id."""
        return self.record.id

    def takes(self, position: Position) -> bool:
        """Whether it is told of this event."""
        return (
            position.number > self.since
            and not is_history(position)
            and (self.internal or not position.event.internal)
            and (not self.events or name_of(position) in self.events)
        )

    def secrets_at(self, at: Instant) -> tuple[str, ...]:
        """What signs at this moment, the newest first."""
        if self.old_secret and self.old_secret_until and at < self.old_secret_until:
            return self.secret, self.old_secret
        return (self.secret,)

    def changed(self, at: Instant, **values: Any) -> "Webhook":
        """The webhook with these values, and its record with the next version."""
        after = replace(self, **values)
        return replace(after, record=self.record.with_body(_body(after), at))


_FIELDS = tuple(name for name in Webhook.__dataclass_fields__ if name != "record")


def _body(webhook: Webhook) -> Mapping[str, Any]:
    return {name: getattr(webhook, name) for name in _FIELDS}


def webhook_of(record: Record) -> Webhook:
    """A record of Kind.WEBHOOK, read."""
    body = {name: record.body[name] for name in _FIELDS}
    return Webhook(record, **{**body, "events": tuple(body["events"])})


def new_webhook(draft: WebhookDraft, since: int, at: Instant) -> Webhook:
    """A webhook with a secret of its own."""
    body = {
        **draft.model_dump(),
        "since": since,
        "secret": new_secret(),
        "old_secret": None,
        "old_secret_until": None,
        "disabled_reason": None,
    }
    return webhook_of(new_record(Kind.WEBHOOK, body, at))


def rotated(webhook: Webhook, at: Instant) -> Webhook:
    """With a new secret; for a day the old one signs as well."""
    until = later(at, BOTH_SECRETS_SECONDS)
    return webhook.changed(at, secret=new_secret(), old_secret=webhook.secret, old_secret_until=until)


def without_secrets(record: Record) -> Record:
    """The record for whoever may not sign as we do; other kinds have no secret."""
    if record.kind is not Kind.WEBHOOK:
        return record
    return replace(record, body={**record.body, "secret": "", "old_secret": None, "old_secret_until": None})


def lacks_secret(record: Record) -> bool:
    """Whether it is a webhook `without_secrets`."""
    return record.kind is Kind.WEBHOOK and not record.body.get("secret")


def with_secret_of(record: Record, stored: Record | None) -> Record:
    """The webhook with the secrets of the one that is stored, or a new one where there is none."""
    names = ("secret", "old_secret", "old_secret_until")
    secrets_here = {name: stored.body[name] for name in names} if stored else {"secret": new_secret()}
    return replace(record, body={**record.body, **secrets_here})


def new_secret() -> str:
    """256 random bits, as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def signature(keys: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode("ascii") for secret in keys
    )


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one webhook. Its id is the `webhook-id`, the same at every attempt.

    `due_at` is when it is tried next. Whoever claims it moves that past the time an attempt can take, so that one
    whose process is killed in the middle is simply due again.
    """

    id: str
    webhook_id: str
    kind: str
    position: int | None
    body: str
    state: State
    attempts: int
    due_at: Instant
    created_at: Instant
    settled_at: Instant | None = None
    status: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a target answered: its status, or what went wrong."""

    status: int | None
    problem: str | None = None
    retry_after: str | None = None


def new_delivery(webhook_id: str, kind: str, position: int | None, body: str, at: Instant) -> Delivery:
    """A message that is due at once."""
    return Delivery(new_id(), webhook_id, kind, position, body, State.PENDING, 0, at, at)


def judged(delivery: Delivery, answer: Answer, at: Instant, chance: float) -> Delivery:
    """The delivery after this answer: done, tried again later, or dead. `chance`, from 0 to 1, spreads retries."""
    status, problem = answer.status, answer.problem
    if status is not None and 200 <= status < 300:
        return replace(delivery, state=State.DELIVERED, settled_at=at, status=status, problem=None)
    if status is not None:
        problem = "it redirects, which is not followed" if 300 <= status < 400 else f"it answered {status}"
    after = replace(delivery, status=status, problem=(problem or "no answer")[:LONGEST_PROBLEM])
    if status == 410 or delivery.attempts > len(DELAYS):
        return replace(after, state=State.DEAD, settled_at=at)
    delay = DELAYS[delivery.attempts - 1] * (1 + JITTER * (2 * chance - 1))
    if status in (429, 503) and answer.retry_after:
        delay = max(delay, min(_seconds(answer.retry_after, at), LONGEST_RETRY_AFTER))
    return replace(after, due_at=later(at, delay))


def later(at: Instant, seconds: float) -> Instant:
    """The moment so many seconds after another."""
    return instant_of(datetime.fromisoformat(at) + timedelta(seconds=seconds))


def seconds_between(earlier: Instant, at: Instant) -> float:
    """How much time lies between two moments."""
    return (datetime.fromisoformat(at) - datetime.fromisoformat(earlier)).total_seconds()


def _seconds(retry_after: str, at: Instant) -> float:
    """What a Retry-After asks for; 0 where it says nothing that makes sense."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromisoformat(at)).total_seconds())
