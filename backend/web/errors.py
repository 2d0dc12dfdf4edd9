"""Every error as one problem body, and the only place where an error family meets a status."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backend import errors
from backend.domain.once import AlreadyDone
from backend.domain.reasons import reason_of
from backend.web import idempotency
from backend.web.answers import problem_answer, problem_body

logger = logging.getLogger("backend.web")

STATUS: dict[type[errors.RequestError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.NotSignedIn: HTTPStatus.UNAUTHORIZED,
    errors.NotAllowed: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NoSpace: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_SECONDS = "5"
MOST_PROBLEMS = 100
_LONGEST_FIELD = 1_000
WRONG_FIELDS = "Some fields are missing or invalid."


def install(app: FastAPI) -> None:
    """Let the application answer every error in this way."""
    app.add_exception_handler(errors.RequestError, _request_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ValidationError, _validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(AlreadyDone, _already_done)


def problem_of(error: errors.RequestError) -> dict[str, Any]:
    """The problem body of an error."""
    status = status_of(error)
    return problem_body(status, status.phrase, str(error), getattr(error, "problems", ()))


def answer_for(error: errors.RequestError) -> Response:
    """The answer to a request that met this error."""
    status = status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, errors.TooManyRequests):
        headers["retry-after"] = str(error.retry_after)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = RETRY_AFTER_SECONDS
        is_reader = isinstance(error, errors.Overdue | errors.ClientGone)
        logger.log(logging.WARNING if is_reader else logging.ERROR, "%s", error)
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        logger.warning("%s", error)
    return problem_answer(status, status.phrase, str(error), getattr(error, "problems", ()), headers)


def status_of(error: errors.RequestError) -> HTTPStatus:
    """The status of an error's family."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)
    return answer_for(error)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    return problem_answer(422, "Unprocessable Entity", WRONG_FIELDS, problems_of(error))


def problems_of(error: RequestValidationError | ValidationError) -> list[tuple[str, str]]:
    """Each field that is wrong, and why; the first MOST_PROBLEMS of them."""
    problems: Sequence[Any] = error.errors()
    return [(_field(problem["loc"]), reason_of(problem)) for problem in problems[:MOST_PROBLEMS]]


def too_many(error: ValidationError) -> errors.Unprocessable:
    """An error with more problems than are told, as one that is cheap to answer."""
    return errors.Unprocessable(WRONG_FIELDS, problems_of(error))


def _field(location: Sequence[Any]) -> str:
    names = [str(part) for part in location]
    if names and names[0] in ("body", "query", "path", "header"):
        names = names[1:] or names
    return ".".join(names)[:_LONGEST_FIELD] or "body"


async def http_error(_: Request, error: Exception) -> Response:
    """What the framework itself refuses, such as an address that leads nowhere."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != phrase else _DETAIL.get(error.status_code, phrase)
    return problem_answer(error.status_code, phrase, str(detail), headers=error.headers)


_DETAIL = {
    404: "There is nothing at this address; /docs lists every call.",
    405: "This address does not take this method; /docs lists every call.",
}


async def _already_done(request: Request, done: Exception) -> Response:
    assert isinstance(done, AlreadyDone)
    return idempotency.replay(request, done.receipt)
