"""The container's health check: asks /health, prints one line, exits 0 only on 200.

With the word `live` it asks /health/live instead, whether the process answers at all: the question for whoever kills
it if not, since no restart makes room on a full disk.

Stand-alone and small on purpose: it runs every few seconds as `python -I -S /app/backend/healthcheck.py`,
so it imports nothing of the application and not even http.client.
"""

import os
import socket
import sys
import time

TIMEOUT_SECONDS = 2.5
LONGEST_ANSWER = 64 * 1024
REQUEST = b"GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: healthcheck\r\n\r\n"
EVERYWHERE = dict.fromkeys(("", "0.0.0.0", "::"), "127.0.0.1")  # noqa: S104  # not bound here


def main() -> int:
    """Ask once and say what was found."""
    host = os.environ.get("API_HOST", "")
    port = os.environ.get("API_PORT", "") or "8000"
    host = EVERYWHERE.get(host, host.strip("[]"))
    path = b"/health/live" if sys.argv[1:] == ["live"] else b"/health"
    try:
        answer = ask(host, int(port), path, time.monotonic() + TIMEOUT_SECONDS)
    except (OSError, ValueError, OverflowError) as problem:
        print(f"unhealthy: {progress() or f'no answer from {host} port {port}: {problem or type(problem).__name__}'}")
        return 1
    status, body = split(answer)
    print(f"{'healthy' if status == '200' else 'unhealthy'}: {status} {body}")
    return 0 if status == "200" else 1


def progress() -> str:
    """What a start that upgrades the database says about how far it has come; empty where none does."""
    try:
        path = f"{os.environ.get('DATA_DIR') or 'data'}/upgrade.progress"
        with open(path, encoding="utf-8") as note:  # noqa: PTH123 - pathlib takes longer to import than all the rest
            return f"not started yet: {note.read(200).strip()}"
    except (OSError, ValueError):
        return ""


def ask(host: str, port: int, path: bytes, deadline: float) -> bytes:
    """The whole answer to GET `path`; the deadline holds for all of it, however slowly it drips in."""
    answer = b""
    with socket.create_connection((host, port), timeout=remaining(deadline)) as connection:
        connection.sendall(REQUEST % path)
        while len(answer) < LONGEST_ANSWER:
            connection.settimeout(remaining(deadline))
            part = connection.recv(LONGEST_ANSWER)
            if not part:
                break
            answer += part
    return answer


def remaining(deadline: float) -> float:
    """Seconds left, as a socket's time limit."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"timed out after {TIMEOUT_SECONDS} s")
    return left


def split(answer: bytes) -> tuple[str, str]:
    """Status and body on one line; a garbled or empty answer has no status."""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ")
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/")
    status = words[1].decode("ascii", "replace") if is_http else "no status"
    return status, " ".join(body[:2000].decode("utf-8", "replace").split())


if __name__ == "__main__":
    sys.exit(main())
