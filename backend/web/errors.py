"""Every error as one problem body, and the only place where an error family meets a status."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backend import errors
from backend.domain.once import AlreadyDone
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
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_SECONDS = "5"
WRONG_FIELDS = "Some fields are missing or not allowed."


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
        logger.error("%s", error)
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
    """Each field that is wrong, and why."""
    return [(_field(problem["loc"]), _message(problem)) for problem in error.errors()]


def _field(location: Sequence[Any]) -> str:
    names = [str(part) for part in location]
    if names and names[0] in ("body", "query", "path", "header"):
        names = names[1:] or names
    return ".".join(names) or "body"


def _message(problem: Any) -> str:
    if problem["type"] == "string_pattern_mismatch":
        return "must not hold a NUL, or is not of the form described"
    plain = _PLAIN.get(problem["type"])
    if not plain:
        return str(problem["msg"]).removeprefix("Value error, ")
    return plain({"actual_length": None, **problem.get("ctx", {})})


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number != 1 else _ONE[noun]}"


def _at_most(ctx: Mapping[str, Any]) -> str:
    actual = f", not {ctx['actual_length']:,}" if isinstance(ctx["actual_length"], int) else ""
    return f"must have at most {_counted(ctx['max_length'], 'entries')}{actual}"


def _at_least(noun: str) -> Callable[[Mapping[str, Any]], str]:
    def say(ctx: Mapping[str, Any]) -> str:
        fewest = ctx["min_length"]
        return "must not be empty" if fewest == 1 else f"must have at least {_counted(fewest, noun)}"

    return say


_ONE = {"entries": "entry", "characters": "character"}
# What pydantic says in terms of Python, by its names for what can be wrong.
_PLAIN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not known here",
    "string_too_long": lambda ctx: f"must have at most {_counted(ctx['max_length'], 'characters')}",
    "string_too_short": _at_least("characters"),
    "too_long": _at_most,
    "too_short": _at_least("entries"),
}


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
