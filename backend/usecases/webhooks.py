"""What administrators do with webhooks and their deliveries."""

import json
from collections.abc import Sequence

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, act
from backend.domain.once import Once
from backend.domain.values import Instant, Page, is_id
from backend.domain.webhooks import (
    MOST_WEBHOOKS,
    PING,
    Delivery,
    State,
    Webhook,
    WebhookChange,
    WebhookDraft,
    new_delivery,
    new_webhook,
    rotated,
    webhook_of,
)
from backend.errors import Conflict, PreconditionFailed, RecordNotFound
from backend.ports import Ports


async def all_webhooks(ports: Ports) -> list[Webhook]:
    """Every one, for those who send."""
    page = await ports.catalogue.list_records(Kind.WEBHOOK, 2 * MOST_WEBHOOKS, None)
    return [webhook_of(record) for record in page.items]


async def list_webhooks(ports: Ports, caller: Caller) -> Sequence[Webhook]:
    """All, oldest first."""
    caller.must_be(Role.ADMIN)
    return await all_webhooks(ports)


async def get_webhook(ports: Ports, caller: Caller, webhook_id: str) -> Webhook:
    """One. Raises RecordNotFound."""
    caller.must_be(Role.ADMIN)
    if not is_id(webhook_id):
        raise RecordNotFound(Kind.WEBHOOK, webhook_id)
    return webhook_of(await ports.catalogue.get(Kind.WEBHOOK, webhook_id))


async def create_webhook(ports: Ports, caller: Caller, draft: WebhookDraft, once: Once | None = None) -> Webhook:
    """A webhook that hears of what happens from now on. Raises Conflict past MOST_WEBHOOKS, Unprocessable."""
    caller.must_be(Role.ADMIN)
    ports.sender.check(draft.url)
    if len(await all_webhooks(ports)) >= MOST_WEBHOOKS:
        raise Conflict(f"There are {MOST_WEBHOOKS} webhooks already, which is as many as there may be.")
    at = ports.now()
    webhook = new_webhook(draft, await ports.tickets.last_position(), at)
    done = act(caller, at, "webhook.created", webhook.id, url=webhook.url, events=webhook.events)
    await ports.catalogue.put(webhook.record, done, once and once.wrapping(webhook_of))
    return webhook


async def change_webhook(
    ports: Ports, caller: Caller, webhook_id: str, change: WebhookChange, if_version: Sequence[int] | None
) -> Webhook:
    """Apply a merge patch. One that becomes active hears of what happens from then on. Raises PreconditionFailed."""
    webhook = await _at_version(ports, caller, webhook_id, if_version)
    values = change.named()
    if "url" in values:
        ports.sender.check(values["url"])
    if all(getattr(webhook, name) == value for name, value in values.items()):
        return webhook
    at = ports.now()
    done = act(caller, at, "webhook.changed", webhook.id, **values)
    if values.get("active") and not webhook.active:
        values |= {"since": await ports.tickets.last_position(), "disabled_reason": None}
    after = webhook.changed(at, **values)
    await ports.catalogue.put(after.record, done)
    return after


async def rotate_secret(
    ports: Ports, caller: Caller, webhook_id: str, if_version: Sequence[int] | None, once: Once | None = None
) -> Webhook:
    """A new secret; the old one signs beside it for a day. Raises PreconditionFailed."""
    webhook = await _at_version(ports, caller, webhook_id, if_version)
    at = ports.now()
    after = rotated(webhook, at)
    done = act(caller, at, "webhook.secret_rotated", webhook.id)
    await ports.catalogue.put(after.record, done, once and once.wrapping(webhook_of))
    return after


async def remove_webhook(ports: Ports, caller: Caller, webhook_id: str, if_version: Sequence[int] | None) -> None:
    """Remove it with its deliveries. Raises PreconditionFailed."""
    webhook = await _at_version(ports, caller, webhook_id, if_version)
    done = act(caller, ports.now(), "webhook.removed", webhook.id, url=webhook.url)
    await ports.catalogue.remove(webhook.record, done)
    await ports.outbox.drop(webhook.id)  # should this fail, the duty that forgets comes by


async def ping(ports: Ports, caller: Caller, webhook_id: str, once: Once | None = None) -> Delivery:
    """Send a test message. Raises Conflict where it is not active."""
    webhook = await get_webhook(ports, caller, webhook_id)
    if not webhook.active:
        raise Conflict("The webhook is not active; activate it first.")
    at = ports.now()
    delivery = new_delivery(webhook.id, PING, None, message(PING, at, {"webhook_id": webhook.id}), at)
    return await ports.outbox.add(delivery, once)


async def list_deliveries(
    ports: Ports, caller: Caller, webhook_id: str, state: State | None, limit: int, cursor: str | None
) -> Page[Delivery]:
    """Newest first. Raises InvalidCursor."""
    webhook = await get_webhook(ports, caller, webhook_id)
    return await ports.outbox.list_deliveries(webhook.id, state, limit, cursor)


async def replay(ports: Ports, caller: Caller, webhook_id: str, delivery_id: str, once: Once | None = None) -> Delivery:
    """Send a message once more, with the same id. Raises RecordNotFound."""
    webhook = await get_webhook(ports, caller, webhook_id)
    return await ports.outbox.replay(webhook.id, delivery_id, ports.now(), once)


async def replay_dead(ports: Ports, caller: Caller, webhook_id: str, once: Once | None = None) -> int:
    """Send every dead message of a webhook once more; how many."""
    webhook = await get_webhook(ports, caller, webhook_id)
    return await ports.outbox.replay_dead(webhook.id, ports.now(), once)


def message(kind: str, at: Instant, data: object) -> str:
    """A message's body, as Standard Webhooks has it."""
    return json.dumps({"type": kind, "timestamp": at, "data": data}, ensure_ascii=False, separators=(",", ":"))


async def _at_version(ports: Ports, caller: Caller, webhook_id: str, if_version: Sequence[int] | None) -> Webhook:
    webhook = await get_webhook(ports, caller, webhook_id)
    version = webhook.record.version
    if if_version is not None and version not in if_version:
        raise PreconditionFailed(f"The webhook is at version {version} now; read it again before you change it.")
    return webhook
