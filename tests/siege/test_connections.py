"""One client with many, endless or silent connections, and a bystander whose requests go on."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import TICKET, answers, call, running, wait_until

# The process as `serve` starts it, with shorter deadlines.
SHORT = """
import sys
from backend import connections
connections.HEAD_SECONDS = connections.UNREAD_SECONDS = 1.0
connections.BODY_SECONDS = connections.ANSWER_SECONDS = 2.0
connections.MOST_CONNECTIONS = 40
from backend.__main__ import main
sys.exit(main(["serve"]))
"""
LONGEST_WAIT_SECONDS = 15
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """A server's process id and port."""
    with running(tmp_path_factory.mktemp("siege"), [sys.executable, "-c", SHORT], TRUSTED_PROXIES="192.0.2.1") as (
        process,
        port,
    ):
        yield process.pid, port


@pytest.fixture
def port(server: tuple[int, int]) -> int:
    return server[1]


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LONGEST_WAIT_SECONDS)


def answer_to(port: int, *parts: bytes) -> bytes:
    """What the server says until it hangs up, or until the first answer is there."""
    with connect(port) as client:
        with suppress(ConnectionError):
            for part in parts:
                client.sendall(part)
        return read_on(client)


def read_on(client: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while part := client.recv(65_536):
            found += part
            if b"\r\n\r\n" in found:
                break
    return found


def memory(pid: int) -> int:
    """Bytes in use."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def limited(port: int, reason: str) -> float:
    """How often a limit was met, as /metrics has it."""
    with connect(port) as client:
        client.sendall(f"GET /metrics HTTP/1.0\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode())
        text = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
    lines = [line for line in text.splitlines() if line.startswith(f'connections_limited_total{{reason="{reason}"')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        pytest.param([HEAD, b"X-n: " + b"a" * 40_000, b"\r\n\r\n"], 431, id="one long field"),
        pytest.param([HEAD, *[b"X-n: " + b"a" * 1_000 + b"\r\n"] * 40, b"\r\n"], 431, id="long together"),
        pytest.param([HEAD, b"x: y\r\n" * 120, b"\r\n"], 431, id="many fields"),
        pytest.param([HEAD, b"Cookie: " + b"a=b; " * 20_000, b"\r\n\r\n"], 431, id="a long cookie"),
        pytest.param([b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 414, id="a long address"),
        pytest.param([b"GET /" + b"a" * 200_000, b"a" * 200_000], 414, id="an endless address"),
        pytest.param([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400, id="TLS"),
        pytest.param([HEAD, b"X-n: " + b"a" * 20_000, b"\r\n\r\n"], 200, id="within the limits"),
        pytest.param([HEAD, b"x: y\r\n" * 98, b"\r\n"], 200, id="as many fields as may be"),
        pytest.param([b"GET /health/live?q=" + b"a" * 16_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 200, id="an address"),
        pytest.param([b"GET /health/live HTTP/1.0\r\n\r\n"], 200, id="HTTP/1.0"),
    ],
)
def test_heads_have_bounds(port: int, parts: list[bytes], status: int) -> None:
    assert answer_to(port, *parts).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("start", [b"X-n: ", b"Cookie: ", b"", b"Content-Length: "])
def test_a_head_without_end_takes_no_memory(server: tuple[int, int], start: bytes) -> None:
    pid, port = server
    before = memory(pid)
    with connect(port) as client, suppress(ConnectionError):
        client.sendall(HEAD + start)
        for _ in range(200):
            client.sendall(b"a" * 65_536)
    assert answers(port)
    assert memory(pid) - before < 8 * MEGABYTE


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"1;" + b"a" * 200_000, id="a chunk's extension"),
        pytest.param(b"0\r\nx: " + b"a" * 200_000, id="a field after the last chunk"),
        pytest.param(b"0" * 200_000, id="a chunk's size"),
    ],
)
def test_what_lies_between_chunks_has_bounds(server: tuple[int, int], endless: bytes) -> None:
    pid, port = server
    before = memory(pid)
    head = b"POST /api/tickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    auth = b"Authorization: Bearer %s\r\n\r\n" % ADMIN_TOKEN.encode()
    with connect(port) as client, suppress(ConnectionError):
        client.sendall(head + auth)
        for _ in range(40):
            client.sendall(endless)
    assert answers(port)
    assert memory(pid) - before < 8 * MEGABYTE


def in_chunks(pieces: list[bytes]) -> bytes:
    """A ticket's head, and its body in these chunks."""
    head = b"POST /api/tickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    auth = b"Authorization: Bearer %s\r\n\r\n" % ADMIN_TOKEN.encode()
    return head + auth + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_a_body_may_come_in_small_chunks_but_not_all_of_them(port: int) -> None:
    body = json.dumps({**TICKET, "description": "é" * 300 + "x" * 3_000}, ensure_ascii=False).encode()
    with connect(port) as client:
        for chunk in (1, 1, 7, len(body)):
            client.sendall(in_chunks([body[at : at + chunk] for at in range(0, len(body), chunk)]))
        answers_so_far = b""
        while answers_so_far.count(b"HTTP/1.1 201") < 4:
            part = client.recv(65_536)
            assert part, answers_so_far
            answers_so_far += part
    long = json.dumps({**TICKET, "description": "x" * 90_000}).encode()
    assert answer_to(port, in_chunks([long[at : at + 64] for at in range(0, len(long), 64)])).startswith(
        b"HTTP/1.1 201 "
    )
    before = limited(port, "small_chunks")
    refused = answer_to(port, in_chunks([bytes([one]) for one in long]))
    assert refused.startswith(b"HTTP/1.1 400 ") and b"too many small chunks" in refused
    assert limited(port, "small_chunks") > before


def test_pipelined_requests_are_answered_in_order_and_not_without_end(port: int) -> None:
    with connect(port) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        found = b""
        while found.count(b"HTTP/1.1 200") < 20:
            part = client.recv(65_536)
            assert part
            found += part
    with connect(port) as client, suppress(ConnectionError):
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000)
        found = b"".join(iter(lambda: client.recv(65_536), b""))
        assert found.count(b"HTTP/1.1 200") < 200
    assert answers(port)


@pytest.mark.parametrize(
    ("start", "status", "reason"),
    [
        pytest.param(b"", 408, "slow_head", id="nothing"),
        pytest.param(b"GET / HT", 408, "slow_head", id="half a head"),
        pytest.param(
            b"POST /api/tickets HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + ADMIN_TOKEN.encode() + b"\r\n\r\n{",
            408,
            "slow_body",
            id="half a body",
        ),
    ],
)
def test_the_silent_are_hung_up_on(port: int, start: bytes, status: int, reason: str) -> None:
    before = limited(port, reason)
    assert answer_to(port, start).startswith(b"HTTP/1.1 %d " % status)
    assert limited(port, reason) > before


def test_a_byte_now_and_then_does_not_help(port: int) -> None:
    with connect(port) as client:
        began = time.monotonic()
        client.sendall(HEAD)
        client.settimeout(0.2)
        found = b""
        while not found and time.monotonic() - began < LONGEST_WAIT_SECONDS:
            with suppress(TimeoutError):
                client.sendall(b"a")
                found = client.recv(1_000)
    assert found.startswith(b"HTTP/1.1 408 ")


def test_who_never_reads_an_answer_is_hung_up_on(server: tuple[int, int]) -> None:
    pid, port = server
    for _ in range(40):
        call(port, "POST", "/api/tickets", {**TICKET, "description": "x" * 19_000})
    before, met = memory(pid), limited(port, "slow_answer")
    asked = f"GET /api/tickets?limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode()
    clients = []
    for _ in range(10):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", port))
        client.sendall(asked * 4)
        clients.append(client)
    wait_until(lambda: limited(port, "slow_answer") >= met + 10)
    assert memory(pid) - before < 64 * MEGABYTE
    for client in clients:
        client.close()


UNREAD = b"POST /api/tickets HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Type: application/json\r\n"


def hold(port: int, count: int, sent: bytes, address: str = "127.0.0.1") -> list[socket.socket]:
    """So many connections from an address that have sent this."""
    made = []
    for _ in range(count):
        made.append(socket.create_connection(("127.0.0.1", port), LONGEST_WAIT_SECONDS, source_address=(address, 0)))
        made[-1].sendall(sent)
    return made


def test_one_address_leaves_room_for_others(port: int) -> None:
    begun = UNREAD + b"Authorization: Bearer %s\r\n\r\n" % ADMIN_TOKEN.encode()
    held = hold(port, 20, begun)
    try:
        wait_until(lambda: b"503" in answer_to(port))
        refused = answer_to(port)
        assert refused.startswith(b"HTTP/1.1 503 ") and b"retry-after" in refused
        (other,) = hold(port, 1, b"GET /health/live HTTP/1.0\r\n\r\n", "127.0.0.2")
        held.append(other)
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        for client in held:
            client.close()
    assert limited(port, "refused") > 0
    wait_until(lambda: answers(port))


@pytest.mark.parametrize("start", [b"", HEAD, b"GET / HTTP/1.0\r\nX-a: "])
def test_whoever_brings_no_head_makes_room(port: int, start: bytes) -> None:
    before = limited(port, "displaced")
    held = hold(port, 30, start)
    try:
        for _ in range(5):
            assert answer_to(port, HEAD + b"\r\n").startswith(b"HTTP/1.1 200 ")
        assert read_on(held[0]).startswith(b"HTTP/1.1 503 ")
        held += hold(port, 30, start, "127.0.0.3")  # now all are in use
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            (one,) = hold(port, 1, HEAD + b"\r\n", address)
            held.append(one)
            assert one.recv(100).startswith(b"HTTP/1.1 200 "), address
    finally:
        for client in held:
            client.close()
    assert limited(port, "displaced") > before
    wait_until(lambda: answers(port))


def test_many_connections_come_and_go(server: tuple[int, int]) -> None:
    pid, port = server
    before = memory(pid)
    for _ in range(20):
        held = []
        for _ in range(60):
            with suppress(OSError):
                held.append(connect(port))
        for client in held:
            client.close()
    wait_until(lambda: answers(port))
    assert memory(pid) - before < 16 * MEGABYTE
