"""The shapes of answers about webhooks, for the documentation; see `web/schemas.py`."""

from pydantic import BaseModel, Field

from backend.web.schemas import ItemsOut, PageOut, example

_ID = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"
_AT = "2026-11-22T10:00:00.000000Z"


class WebhookOut(BaseModel):
    """A webhook, without its secret."""

    model_config = example(
        id=_ID,
        url="https://chat.example.org/hooks/7",
        description="",
        events=["ticket.created"],
        active=True,
        internal=False,
        disabled_reason=None,
        old_secret_until=None,
        created_at=_AT,
        updated_at=_AT,
        version=1,
    )

    id: str
    url: str
    description: str
    events: list[str] = Field(description="the kinds of event that are sent; all, if empty")
    active: bool
    internal: bool = Field(description="whether events of internal notes are sent as well")
    disabled_reason: str | None = Field(description="why it was made inactive, where it was not a person")
    old_secret_until: str | None = Field(description="until when the secret before signs as well")
    created_at: str
    updated_at: str
    version: int


class WebhookSecretOut(WebhookOut):
    """A webhook and its secret, which is shown only when it is made."""

    model_config = example(
        id=_ID,
        url="https://chat.example.org/hooks/7",
        description="",
        events=[],
        active=True,
        internal=False,
        disabled_reason=None,
        old_secret_until=None,
        created_at=_AT,
        updated_at=_AT,
        version=1,
        secret="whsec_…",  # noqa: S106 - an example
    )

    secret: str


class DeliveryOut(BaseModel):
    """One message for a webhook."""

    model_config = example(
        id=_ID,
        kind="ticket.created",
        position=4711,
        state="pending",
        attempts=1,
        due_at=_AT,
        created_at=_AT,
        settled_at=None,
        status=500,
        problem="it answered 500",
    )

    id: str = Field(description="the message's `webhook-id`")
    kind: str
    position: int | None = Field(description="of the event; null for a ping")
    state: str = Field(description="pending, delivered or dead")
    attempts: int
    due_at: str | None = Field(description="when it is tried next")
    created_at: str
    settled_at: str | None
    status: int | None = Field(description="what was answered to the last attempt")
    problem: str | None = Field(description="what went wrong at the last attempt")


class WebhookList(ItemsOut[WebhookOut]):
    """All webhooks."""


class DeliveryPage(PageOut[DeliveryOut]):
    """A page of a webhook's deliveries."""


class ReplayedOut(BaseModel):
    """How many messages are sent once more."""

    model_config = example(replayed=3)

    replayed: int


ANSWERS: tuple[type[BaseModel], ...] = (
    WebhookOut,
    WebhookSecretOut,
    WebhookList,
    DeliveryOut,
    DeliveryPage,
    ReplayedOut,
)
