"""Runs one attack away from the interpreter that times the bystander: `python -m tests.siege.attacks NAME < TARGET`.

At SIGTERM it prints what it did as JSON: how many steps, the statuses it was given, the longest wait in seconds.
"""

import asyncio
import json
import os
import resource
import signal
import sys

from tests.siege.attacking import Report, Target
from tests.siege.attacks import ATTACKS, heavy

assert heavy, "importing it enters its attacks"


async def main(name: str, target: Target) -> None:
    """Attack until told to stop; then say what was done."""
    report = Report()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    working = asyncio.ensure_future(ATTACKS[name](target, report))
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        await working  # only an error ends it
    print(report.show(), flush=True)
    os._exit(0)  # every connection is cut off at once


if __name__ == "__main__":
    os.nice(5)  # an attacker has a machine of its own
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(sys.argv[1], Target(**json.load(sys.stdin))))
