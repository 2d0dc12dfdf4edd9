"""Work that grows with what people typed, in a few threads of its own, so that the event loop serves others meanwhile.

What is long has one thread, and what is usual has others: whoever asks for long texts waits for those who do likewise.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from backend.errors import Unavailable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

THREADS = 2
LONG_CHARACTERS = 50_000
"""From here on a text, or all texts of a page together, are long."""
MOST_WAITING = 64
"""So many pieces of long work may wait in a process."""

_usual = ThreadPoolExecutor(THREADS, "aside")
_long = ThreadPoolExecutor(1, "aside-long")
_waiting = 0


async def aside(
    length: int, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """The work's result; `length` is that of the texts it is about, in characters. Raises Unavailable where too much
    work on long ones waits already."""
    global _waiting
    if length < LONG_CHARACTERS:
        return await _run(_usual, work, *args, **kwargs)
    if _waiting >= MOST_WAITING:
        raise Unavailable("Too many long texts are asked for at once; try again in a moment.")
    _waiting += 1
    try:
        return await _run(_long, work, *args, **kwargs)
    finally:
        _waiting -= 1


async def _run(
    pool: ThreadPoolExecutor, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, lambda: context.run(work, *args, **kwargs))
