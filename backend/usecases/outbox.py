"""What the worker does for webhooks: makes events into messages, sends them, and forgets old ones.

Nothing here may rely on being the only process, or on getting to its end: the position moves together with the
messages it covers, and a claimed message whose sender dies is due again when its lease ends. So each message is sent
at least once, and more than once only after an interruption.
"""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backend import __version__
from backend.domain.access import Caller, Role
from backend.domain.catalogue import act
from backend.domain.events import name_of, position_body, ticket_body
from backend.domain.tickets import Position
from backend.domain.values import Instant
from backend.domain.webhooks import (
    Answer,
    Delivery,
    State,
    Webhook,
    judged,
    later,
    new_delivery,
    seconds_between,
    signature,
)
from backend.errors import PreconditionFailed, RecordNotFound, TicketNotFound
from backend.logs import log
from backend.ports import MOST_FANNED_OUT, Ports
from backend.usecases.webhooks import all_webhooks, message

READ_AT_ONCE = 100
MOST_COUNTED = 500  # events that wait: positions are no count, since not every store numbers them one by one
LEASE_SECONDS = 60.0  # longer than an attempt can take
AT_ONCE_A_WEBHOOK = 2
AT_ONCE = 48
LOOK_SECONDS = 1.0
WIND_UP_SECONDS = 3.0
DAY = 86_400
DELIVERED_KEPT_SECONDS = 7 * DAY
OTHERS_KEPT_SECONDS = 30 * DAY
ORPHANS_KEPT_SECONDS = 3_600
_ITSELF = Caller("worker", "worker", Role.ADMIN, "worker")

logger = logging.getLogger("backend.outbox")


async def fan_out(ports: Ports) -> bool:
    """Make the next events into messages for the webhooks that take them; whether there is more to do."""
    listening = await _active(ports)
    if not listening:
        return False
    before = await ports.outbox.position()
    start = max(before, min(webhook.since for webhook in listening))
    events = await ports.tickets.list_events(start, READ_AT_ONCE)
    if not events:
        return False
    # Asked for again after the events were read: a webhook made before one of them must not miss it.
    deliveries, reached = await _messages(ports, events, await _active(ports), start)
    moved = await ports.outbox.fan_out(before, reached, deliveries)
    return moved and (len(events) == READ_AT_ONCE or reached < events[-1].number)


async def _active(ports: Ports) -> list[Webhook]:
    return [webhook for webhook in await all_webhooks(ports) if webhook.active]


async def _messages(
    ports: Ports, events: Sequence[Position], webhooks: Sequence[Webhook], reached: int
) -> tuple[list[Delivery], int]:
    """Messages for as many of the events as fit into one commit, and the position they reach."""
    deliveries: list[Delivery] = []
    for position in events:
        takers = [webhook for webhook in webhooks if webhook.takes(position)]
        if len(deliveries) + len(takers) > MOST_FANNED_OUT:
            break
        if takers:
            at = ports.now()
            kind = name_of(position)
            body = message(kind, position.event.at, await _data(ports, position))
            deliveries += [new_delivery(webhook.id, kind, position.number, body, at) for webhook in takers]
        reached = position.number
    return deliveries, reached


async def _data(ports: Ports, position: Position) -> dict[str, object]:
    """The event, and the ticket as it is now; its `version` says which that is."""
    try:
        ticket = ticket_body(await ports.tickets.get(position.event.ticket_id))
    except TicketNotFound:
        ticket = None
    return {"event": position_body(position), "ticket": ticket}


async def deliver(ports: Ports) -> bool:
    """Send what is due, a few at once for each webhook, until nothing is due or on its way.

    Cancelled, it takes nothing new and gives what is on its way a moment.
    """
    running: dict[asyncio.Task[None], str] = {}
    try:
        while True:
            await _start(ports, running)
            if not running:
                return False
            done, _ = await asyncio.wait(running, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            _reap(running, done)
    finally:
        if running:
            await asyncio.wait(running, timeout=WIND_UP_SECONDS)
            for task in running:
                task.cancel()


def _reap(running: dict[asyncio.Task[None], str], done: set[asyncio.Task[None]]) -> None:
    for task in done:
        del running[task]
        problem = task.exception()
        if problem is not None:  # its message is due again when the lease ends
            logger.error("an attempt could not be settled: %s", problem)


async def _start(ports: Ports, running: dict[asyncio.Task[None], str]) -> None:
    busy = Counter(running.values())
    webhooks = {webhook.id: webhook for webhook in await _active(ports) if busy[webhook.id] < AT_ONCE_A_WEBHOOK}
    left = AT_ONCE - len(running)
    if not webhooks or left <= 0:
        return
    at = ports.now()
    due = await ports.outbox.due(list(webhooks), at)
    if not due:
        return
    # Those with the least on its way first, so that slow targets never take every place.
    due = sorted(due, key=lambda webhook_id: (busy[webhook_id], random.random()))[:left]  # noqa: S311
    room = dict.fromkeys(due, 1) if len(due) > left // 2 else {one: AT_ONCE_A_WEBHOOK - busy[one] for one in due}
    for delivery in await ports.outbox.claim(room, at, later(at, LEASE_SECONDS)):
        task = asyncio.create_task(_attempt(ports, webhooks[delivery.webhook_id], delivery), name="delivery")
        running[task] = delivery.webhook_id


async def _attempt(ports: Ports, webhook: Webhook, delivery: Delivery) -> None:
    """Send one message and write how it went."""
    at = ports.now()
    answer = await ports.sender.send(webhook.url, _headers(webhook, delivery, at), delivery.body.encode())
    settled = judged(delivery, answer, ports.now(), random.random())  # noqa: S311 - it spreads retries
    if answer.status == 410:
        await _disable(ports, webhook)
    outcome = settled.state if settled.state is not State.PENDING else "retried"
    ports.count("webhook", outcome)
    if settled.state is not State.DELIVERED:
        _warn(webhook, settled, answer)
    await ports.outbox.settle(settled)


def _headers(webhook: Webhook, delivery: Delivery, at: Instant) -> dict[str, str]:
    timestamp = int(seconds_between("1970-01-01T00:00:00.000000Z", at))
    signed = signature(webhook.secrets_at(at), delivery.id, timestamp, delivery.body.encode())
    return {
        "content-type": "application/json",
        "user-agent": f"ticket-backend/{__version__}",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }


def _warn(webhook: Webhook, settled: Delivery, answer: Answer) -> None:
    log(
        logger,
        logging.WARNING,
        "a webhook was not delivered",
        webhook=webhook.id,
        delivery=settled.id,
        attempt=settled.attempts,
        state=settled.state,
        status=answer.status,
        problem=settled.problem,
    )


async def _disable(ports: Ports, webhook: Webhook) -> None:
    """410 Gone: the target wants no more. What is pending stays, should it be activated again."""
    at = ports.now()
    after = webhook.changed(at, active=False, disabled_reason="it answered 410 Gone")
    with contextlib.suppress(PreconditionFailed, RecordNotFound):  # somebody sees to it already
        await ports.catalogue.put(after.record, act(_ITSELF, at, "webhook.disabled", webhook.id, status=410))


async def forget(ports: Ports) -> bool:
    """Remove messages that nobody needs any more; whether there may be more of them."""
    webhooks = [webhook.id for webhook in await all_webhooks(ports)]
    if not webhooks and not await ports.outbox.counts():
        return False
    at = ports.now()
    limits = (DELIVERED_KEPT_SECONDS, OTHERS_KEPT_SECONDS, ORPHANS_KEPT_SECONDS)
    delivered, others, orphans = (later(at, -seconds) for seconds in limits)
    return await ports.outbox.forget(delivered, others, orphans, webhooks) > 0


@dataclass(frozen=True, slots=True)
class Figures:
    """How the outbox stands: messages by state, events not made into messages yet, how late the next one is."""

    states: dict[State, int]
    events_behind: int
    seconds_late: float


async def figures(ports: Ports) -> Figures:
    """For the operator."""
    listening = await _active(ports)
    counts = await ports.outbox.counts()
    behind = 0
    if listening:
        start = max(await ports.outbox.position(), min(webhook.since for webhook in listening))
        behind = len(await ports.tickets.list_events(start, MOST_COUNTED))
    first = await ports.outbox.first_due()
    late = max(0.0, seconds_between(first, ports.now())) if first and listening else 0.0
    return Figures({state: counts.get(state, 0) for state in State}, behind, late)


async def waiting(ports: Ports) -> int:
    """How many messages are not sent yet, events that are to become some counted once."""
    found = await figures(ports)
    return found.states[State.PENDING] + found.events_behind
