"""Webhooks over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain.webhooks import State, WebhookChange, WebhookDraft
from backend.usecases import webhooks
from backend.web import forms
from backend.web.answers import (
    delivery_answer,
    delivery_body,
    json_answer,
    new_webhook_answer,
    page_answer,
    webhook_answer,
    webhook_body,
    webhook_secret_answer,
)
from backend.web.deps import IF_MATCH, PageQuery, asked_of, enter, if_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of, query_of

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])

MERGE_PATCH = "application/merge-patch+json"
WebhookId = Annotated[str, Path(description="the webhook's id")]
DeliveryId = Annotated[str, Path(description="the delivery's id, its `webhook-id`")]


class DeliveryListQuery(PageQuery):
    """What can be asked of a webhook's deliveries."""

    state: State | None = Field(default=None, description="`pending`, `delivered` or `dead`; all, if left out")


@router.post(
    "",
    status_code=201,
    summary="Make a webhook",
    responses=answers("WebhookSecretOut", 400, 403, 409, 413, 415, 422, status=201, etag=True, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("WebhookDraft", "application/json")},
)
async def create_webhook(request: Request) -> Response:
    """For administrators. Each event from now on is posted to `url` as JSON, `{"type", "timestamp", "data": {"event",
    "ticket"}}`, signed as Standard Webhooks has it (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`).
    A 2xx is success; anything else is tried again for three days, then the message is dead until it is replayed.
    It may come twice, or after a later one: `webhook-id` and `data.event.position` tell. `secret` is shown only once.
    """
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, WebhookDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), new_webhook_answer)
    return new_webhook_answer(await webhooks.create_webhook(ports, caller, draft, promise))


@router.get("", summary="List the webhooks", responses=answers("WebhookList", 403))
async def list_webhooks(request: Request) -> Response:
    """For administrators. Without their secrets."""
    ports, caller = await enter(request)
    return json_answer({"items": [webhook_body(one) for one in await webhooks.list_webhooks(ports, caller)]})


@router.get("/{webhook_id}", summary="Read a webhook", responses=answers("WebhookOut", 403, 404, etag=True))
async def get_webhook(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. Without its secret."""
    ports, caller = await enter(request)
    return webhook_answer(await webhooks.get_webhook(ports, caller, webhook_id))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    responses=answers("WebhookOut", 400, 403, 404, 412, 413, 415, 422, etag=True),
    openapi_extra={
        "parameters": [IF_MATCH],
        "requestBody": body_of("WebhookChange", "application/json", MERGE_PATCH),
    },
)
async def change_webhook(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. An inactive one is sent nothing: what is pending waits, and what happens meanwhile is not
    kept for it. A target that answers 410 makes its webhook inactive."""
    ports, caller = await enter(request)
    change = await forms.read_draft(request, WebhookChange, MERGE_PATCH)
    return webhook_answer(await webhooks.change_webhook(ports, caller, webhook_id, change, if_match(request)))


@router.delete(
    "/{webhook_id}",
    status_code=204,
    summary="Remove a webhook",
    responses=answers(None, 400, 403, 404, 412, 422, status=204),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def remove_webhook(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. Its deliveries go with it."""
    ports, caller = await enter(request)
    await webhooks.remove_webhook(ports, caller, webhook_id, if_match(request))
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/secret",
    summary="Give a webhook a new secret",
    responses=answers("WebhookSecretOut", 400, 403, 404, 412, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
)
async def rotate_secret(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. `secret` is shown only once. For a day the old one signs each message as well."""
    ports, caller = await enter(request)
    promise = await once(request, ports, caller, None, webhook_secret_answer)
    return webhook_secret_answer(await webhooks.rotate_secret(ports, caller, webhook_id, if_match(request), promise))


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    summary="Send a test message",
    responses=answers("DeliveryOut", 400, 403, 404, 409, 422, status=202),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def send_test(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. A message of the type `ping`; how it went is among the deliveries."""
    ports, caller = await enter(request)
    promise = await once(request, ports, caller, None, delivery_answer)
    return delivery_answer(await webhooks.ping(ports, caller, webhook_id, promise))


@router.get(
    "/{webhook_id}/deliveries",
    summary="List a webhook's deliveries",
    responses=answers("DeliveryPage", 400, 403, 404, 422),
    openapi_extra=query_of("DeliveryListQuery"),
)
async def list_deliveries(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. Newest first; delivered ones are kept for 7 days, others for 30."""
    ports, caller = await enter(request)
    asked = asked_of(request, DeliveryListQuery)
    page = await webhooks.list_deliveries(ports, caller, webhook_id, asked.state, asked.limit, asked.cursor)
    return page_answer(page, delivery_body)


@router.post(
    "/{webhook_id}/deliveries/replay",
    status_code=202,
    summary="Send every dead message once more",
    responses=answers("ReplayedOut", 400, 403, 404, 422, status=202),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def replay_dead(request: Request, webhook_id: WebhookId) -> Response:
    """For administrators. Each starts afresh, with the same `webhook-id`."""
    ports, caller = await enter(request)

    def answer(replayed: int) -> Response:
        return json_answer({"replayed": replayed}, 202)

    promise = await once(request, ports, caller, None, answer)
    return answer(await webhooks.replay_dead(ports, caller, webhook_id, promise))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    summary="Send a message once more",
    responses=answers("DeliveryOut", 400, 403, 404, 422, status=202),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def replay(request: Request, webhook_id: WebhookId, delivery_id: DeliveryId) -> Response:
    """For administrators. It starts afresh, with the same `webhook-id`."""
    ports, caller = await enter(request)
    promise = await once(request, ports, caller, None, delivery_answer)
    return delivery_answer(await webhooks.replay(ports, caller, webhook_id, delivery_id, promise))
