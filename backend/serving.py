"""uvicorn as this process runs it: the first SIGTERM or SIGINT lets running requests finish, the second stops at once.

uvicorn alone does the second for SIGINT only, and not at all where several workers serve. And it listens on other
addresses with one worker than with several, so the sockets are made here.
"""

import errno
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess

from backend.connections import BoundedProtocol

WORKER_STARTS_SECONDS = 30  # a busy machine may take longer than uvicorn's five, and would start them for ever
STOPPED_AT_ONCE = 128  # plus the signal's number, as shells say it: 143 for SIGTERM, 130 for SIGINT
EVERY_IPV6, EVERY_IPV4 = "::", "0.0.0.0"  # noqa: S104 - what the operator asked for
_NO_SUCH_ADDRESS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class _Server(uvicorn.Server):
    """One process that serves."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Told again: end without waiting for anything. What was acknowledged is on the disk."""
        if self.should_exit:
            os._exit(STOPPED_AT_ONCE + sig)
        super().handle_exit(sig, frame)


class _Supervisor(Multiprocess):
    """The process that starts workers, and starts those anew that die."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets=sockets)
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


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of a host; OSError if one is taken, or if there is none.

    `::` is every address, IPv6 and IPv4, and a name is all of its own. Each family has a socket to itself, so that an
    IPv4 client keeps its IPv4 address. An address that this machine lacks, as where IPv6 is switched off, is left out.
    """
    hosts = [EVERY_IPV6, EVERY_IPV4] if host == EVERY_IPV6 else [host]
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    addresses = (socket.getaddrinfo(one, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE) for one in hosts)
    for family, kind, _, _, address in dict.fromkeys(found for each in addresses for found in each):
        try:
            sockets.append(_bind_one(family, kind, address))
        except OSError as problem:
            if problem.errno not in _NO_SUCH_ADDRESS:
                _close(sockets)
                raise
            missing = problem
    if missing and not sockets:
        raise missing
    return sockets


def _bind_one(family: int, kind: int, address: Any) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.set_inheritable(True)
    except OSError:
        made.close()
        raise
    return made


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def serve(app: str, sockets: list[socket.socket], *, workers: int, **options: Any) -> int:
    """Serve on these sockets until told to stop; the exit code. With `reload=True` anew at each change of the code."""
    config = uvicorn.Config(
        app,
        workers=workers,
        http=BoundedProtocol,
        ws="none",
        timeout_worker_healthcheck=WORKER_STARTS_SECONDS,
        **options,
    )
    try:
        if config.should_reload:
            ChangeReload(config, target=uvicorn.Server(config).run, sockets=sockets).run()
            return 0
        if workers > 1:
            _Supervisor(config, sockets).run()
            return 0
        config.load_app()
        server = _Server(config)
        server.run(sockets)
        return 0 if server.started else STARTUP_FAILURE
    except KeyboardInterrupt:  # which uvicorn, done, raises for SIGINT
        return 0
