"""Tags in use, over HTTP: what may be filled in for a beginning. And how tags, categories and teams are renamed."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from backend.domain.catalogue import Record
from backend.domain.collections import CATEGORIES, TEAMS, Collection
from backend.domain.labels import LabelKind
from backend.domain.renames import RecordMergeDraft, RenameDraft
from backend.domain.text import clean_line
from backend.domain.values import TEXT, Cleaned
from backend.usecases import labels, renames
from backend.web import forms
from backend.web.answers import json_answer, page_answer
from backend.web.deps import PageQuery, Query, asked_of, enter
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of, query_of

router = APIRouter(prefix="/api", tags=["tickets"])
_ADMINISTRATION = "administration"


class TagQuery(Query):
    """What tags are asked for."""

    prefix: Annotated[str, StringConstraints(pattern=TEXT), Cleaned(clean_line, 50)] = Field(
        default="", description="only tags that begin so, whatever the case"
    )
    limit: int = Field(default=20, ge=1, le=50, description="most tags in the answer")


@router.get("/tags", summary="List tags in use", responses=answers("TagList", 422), openapi_extra=query_of("TagQuery"))
async def list_tags(request: Request) -> Response:
    """For completion: tags that begin with `prefix`, first those on the newest tickets. `tickets` counts up to 1,000.

    Agents of every team see all tags; everybody else those on the newest 200 tickets that they may see.
    """
    ports, caller = await enter(request)
    asked = asked_of(request, TagQuery)
    found = await labels.complete(ports, caller, LabelKind.TAG, asked.prefix, asked.limit)
    return json_answer({"items": [{"name": one.name, "tickets": one.tickets} for one in found]})


@router.post(
    "/tags/rename",
    status_code=202,
    tags=[_ADMINISTRATION],
    summary="Rename or merge a tag",
    responses=answers("RenameOut", 400, 403, 413, 415, 422, status=202, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("RenameDraft", "application/json")},
)
async def rename_tag(request: Request) -> Response:
    """For administrators. Whatever has the tag gets the new name, also in the trash; where there is such a tag already,
    the two merge. It is done beside the requests; ask at `Location` how far it has come. From now on filters find both
    names, and whoever gives the old one gives the new one."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, RenameDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), started)
    return started(await renames.rename_tag(ports, caller, draft, promise))


@router.get(
    "/renames",
    tags=[_ADMINISTRATION],
    summary="List renames and merges",
    responses=answers("RenamePage", 400, 403, 422),
    openapi_extra=query_of("PageQuery"),
)
async def list_renames(request: Request) -> Response:
    """For administrators: of tags, categories and teams, also those by a change of the record. Oldest first."""
    ports, caller = await enter(request)
    asked = asked_of(request, PageQuery)
    return page_answer(await renames.list_renames(ports, caller, asked.limit, asked.cursor), rename_body)


@router.get(
    "/renames/{rename_id}",
    tags=[_ADMINISTRATION],
    summary="Ask how far a rename is",
    responses=answers("RenameOut", 403, 404),
)
async def get_rename(request: Request, rename_id: Annotated[str, Path(description="the rename's id")]) -> Response:
    """For administrators."""
    ports, caller = await enter(request)
    return json_answer(rename_body(await renames.get_rename(ports, caller, rename_id)))


def _merging(collection: Collection) -> None:
    one = collection.kind.value

    @router.post(
        f"/{collection.name}/{{{one}_id}}/merge",
        status_code=202,
        tags=[collection.name],
        summary=f"Merge a {one} into another",
        description=f"For administrators. What has this {one} gets the other one, also in the trash, and the {one} is "
        "gone. It is done beside the requests; ask at `Location` how far it has come.",
        responses=answers("RenameOut", 400, 403, 404, 413, 415, 422, status=202, location=True),
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("RecordMergeDraft", "application/json")},
    )
    async def merge(
        request: Request, identity: Annotated[str, Path(alias=f"{one}_id", description=f"the {one}'s id")]
    ) -> Response:
        ports, caller = await enter(request)
        draft = await forms.read_draft(request, RecordMergeDraft)
        promise = await once(request, ports, caller, draft.model_dump(mode="json"), started)
        return started(await renames.merge_record(ports, caller, collection, identity, draft, promise))


for _collection in (CATEGORIES, TEAMS):
    _merging(_collection)


def started(record: Record) -> Response:
    """The answer to what begins one."""
    return json_answer(rename_body(record), 202, {"location": f"/api/renames/{record.id}"})


def rename_body(record: Record) -> dict[str, Any]:
    """A rename's JSON."""
    body = record.body
    return {
        "id": record.id,
        "state": body["state"],
        "kind": body["kind"],
        "from": body["from"],
        "to": body["to"],
        "merged": body["merged"],
        "tickets_changed": body["changed"],
        "problem": body["problem"],
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "finished_at": body["finished_at"],
    }
