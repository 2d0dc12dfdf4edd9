"""Ports that wait where a store is throttled or away for a while, for work that no request waits for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from backend.errors import Unavailable
from backend.ports import Ports

PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_REPEATABLE = ("tickets", "tokens", "catalogue", "outbox", "memories", "jobs")
Result = TypeVar("Result")

logger = logging.getLogger("backend.patience")


async def patiently(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do it, and again after growing pauses, as long as a store can't be used."""
    for pause in PAUSES:
        try:
            return await work()
        except Unavailable as problem:
            logger.warning("%s Going on in %g s.", problem, pause)
            await asyncio.sleep(pause)
    return await work()


def patient(ports: Ports) -> Ports:
    """The same stores, asked patiently. Only for calls that may be repeated; `uploads` are not among them, since a
    stream can't be given twice."""
    named: dict[str, Any] = {name: _Patient(getattr(ports, name)) for name in _REPEATABLE}
    return replace(ports, **named)


class _Patient:
    """A port each of whose calls is repeated."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not iscoroutinefunction(found):
            return found

        @wraps(found)
        async def again(*args: Any, **more: Any) -> Any:
            return await patiently(lambda: found(*args, **more))

        return again
