"""uvicorn as this process runs it: the first SIGTERM or SIGINT lets running requests finish, the second stops at once.

uvicorn alone does the second for SIGINT only, and not at all where several workers serve.
"""

import os
import signal
import sys
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from backend.connections import BoundedProtocol

STOPPED_AT_ONCE = 128  # plus the signal's number, as shells say it: 143 for SIGTERM, 130 for SIGINT


class _Server(uvicorn.Server):
    """One process that serves."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Told again: end without waiting for anything. What was acknowledged is on the disk."""
        if self.should_exit:
            os._exit(STOPPED_AT_ONCE + sig)
        super().handle_exit(sig, frame)


class _Supervisor(Multiprocess):
    """The process that starts workers, and starts those anew that die."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config, sockets=[config.bind_socket()])
        self._told = False
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop)

    def terminate_all(self) -> None:
        """Close the port here too, or new connections would wait in it for nobody."""
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def _stop(self, sig: int, _: FrameType | None) -> None:
        if self._told:
            for worker in self.processes:
                worker.process.kill()
            sys.exit(STOPPED_AT_ONCE + sig)
        self._told = True
        self.signal_queue.append(sig)


def serve(app: str, *, workers: int, **options: Any) -> int:
    """Serve until told to stop; the exit code."""
    config = uvicorn.Config(app, workers=workers, http=BoundedProtocol, ws="none", **options)
    try:
        if workers > 1:
            _Supervisor(config).run()
            return 0
        config.load_app()
        server = _Server(config)
        server.run()
        return 0 if server.started else STARTUP_FAILURE
    except KeyboardInterrupt:  # which uvicorn, done, raises for SIGINT
        return 0
