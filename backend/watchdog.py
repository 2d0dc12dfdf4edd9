"""How long the event loop was held up, and by what: the time that a task takes between two awaits, during which nobody
else is served.

A task is taken step by step, as the loop itself does it, which costs two looks at a clock a step.
"""

import logging
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")

LONGEST_SECONDS = 0.1
"""A step that takes longer is counted, and told in the log."""
NOTEWORTHY_SECONDS = 0.01
"""A shorter step is not worth telling anybody."""
LOG_EVERY_SECONDS = 10.0

logger = logging.getLogger("backend.watchdog")


class Watchdog:
    """What all tasks of this process are measured by."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.perf_counter
        self.observe: Callable[[str, float], None] = lambda _name, _seconds: None
        """Told of a route's or duty's name and the seconds of each noteworthy step."""
        self._logged = -LOG_EVERY_SECONDS
        self._untold = 0

    def note(self, name: str, seconds: float) -> None:
        """Take note of a step of at least NOTEWORTHY_SECONDS."""
        self.observe(name, seconds)
        if seconds > LONGEST_SECONDS:
            self._log(name, seconds)

    def _log(self, name: str, seconds: float) -> None:
        at = time.monotonic()
        if at - self._logged < LOG_EVERY_SECONDS:
            self._untold += 1
            return
        more = f"; {self._untold} more since the last such line" if self._untold else ""
        self._logged, self._untold = at, 0
        logger.warning("the event loop was held up: %s took %d ms in one go%s", name, round(seconds * 1000), more)


WATCHDOG = Watchdog()


@types.coroutine
def watched(work: Coroutine[Any, Any, Result], name: Callable[[], str]) -> Generator[Any, Any, Result]:
    """Runs `work`, each step of it measured; `name` says whose it is, and is asked only where that matters."""
    clock = WATCHDOG.clock
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        started = clock()
        try:
            waits_for = resume(value)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            seconds = clock() - started
            if seconds >= NOTEWORTHY_SECONDS:
                WATCHDOG.note(name(), seconds)
        try:
            value = yield waits_for
            resume = work.send
        except BaseException as problem:
            value, resume = problem, work.throw
