"""Takes jobs from the queue and does them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from backend.domain.jobs import Leased, LeaseLost
from backend.errors import Unavailable
from backend.ports import Ports
from backend.usecases import import_work, rename_work

KINDS: Mapping[str, Callable[[Ports, Leased], Awaitable[None]]] = {
    import_work.JOB: import_work.run,
    rename_work.JOB: rename_work.run,
}
LEASE_SECONDS = 10.0
_LONGEST_PAUSE = 60.0

logger = logging.getLogger("backend.jobs")


async def work(ports: Ports) -> bool:
    """Do one job, if one is due; whether there was one."""
    leased = await ports.jobs.take(LEASE_SECONDS)
    if leased is None:
        return False
    try:
        await KINDS[leased.job.kind](ports, leased)
    except asyncio.CancelledError:
        await asyncio.shield(ports.jobs.release(leased))  # for whoever comes next, at once
        raise
    except LeaseLost:
        # Neither finished nor given back: a queue may hand one message to two, and this would take it from the other.
        logger.info("job %s is somebody else's", leased.job.id)
    except Unavailable as problem:
        logger.warning("job %s is put off: %s", leased.job.id, problem)
        await ports.jobs.release(leased, min(_LONGEST_PAUSE, 0.5 * 2**leased.tries))
    except Exception:
        logger.exception("job %s failed", leased.job.id)
        await ports.jobs.release(leased, min(_LONGEST_PAUSE, 0.5 * 2**leased.tries))
    else:
        await ports.jobs.finish(leased)
    return True
