"""`python -m tests.moving STEPS move …`: the command line, killed as by kill -9 at its STEPSth write (0: never).

For tests: a move that is cut off at a known place. On DynamoDB Local it also makes the settings that `clouds` has.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from backend.__main__ import main
from backend.adapters.aws import clients, files, table
from backend.adapters.embedded import files as local_files
from backend.adapters.embedded import sqlite
from tests.clouds import MOST_ACTIONS

WRITES = (
    (sqlite.Database, "write"),
    (local_files.LocalFiles, "put"),
    (files.S3Files, "put"),
    (table.Table, "transact"),
    (table.Table, "put_many"),
)


def cut_off(steps: int) -> None:
    """Let the process die when it begins its so manieth write."""
    taken = count(1)

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            if next(taken) == steps:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*args, **more)

        return step

    for owner, name in WRITES:
        setattr(owner, name, counted(getattr(owner, name)))


if __name__ == "__main__":
    table.MOST_ACTIONS = MOST_ACTIONS
    clients.READ_SECONDS = 60.0
    cut_off(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
