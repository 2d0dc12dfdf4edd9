"""What the sender does to targets that behave well, badly, or are none of its business."""

import asyncio
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from backend.adapters.embedded import sender
from backend.adapters.embedded.sender import HttpSender
from backend.domain.webhooks import Answer
from backend.errors import Unprocessable
from tests.targets import plain, target

LOOPBACK = ("127.0.0.0/8", "::1/128")


def send(url: str, allowed: tuple[str, ...] = LOOPBACK, **more: Callable) -> Answer:
    return asyncio.run(HttpSender(allowed, **more).send(url, {"webhook-id": "m"}, b'{"a": 1}'))


def test_posts_and_tells_the_status() -> None:
    with target(plain(503, "retry-after: 7\r\n", b"x" * 100)) as there:
        assert send(f"{there.url}?a=b") == Answer(503, None, "7")
    (received,) = there.received
    assert (received.path, received.body) == ("/hook?a=b", b'{"a": 1}')
    assert received.headers["webhook-id"] == "m"
    assert received.headers["host"] == f"127.0.0.1:{there.port}"


def test_follows_no_redirect() -> None:
    with target() as elsewhere, target(plain(302, f"location: {elsewhere.url}\r\n")) as there:
        assert send(there.url).status == 302
    assert len(there.received) == 1 and not elsewhere.received


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def drip_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        connection.sendall(b"x-%d: y\r\n" % number)
        time.sleep(0.01)


def drip_continue(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def drip_status(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"H")
        time.sleep(0.01)


@pytest.mark.parametrize("answer", [hang, drip_continue, drip_status, drip_head])
def test_gives_up_in_time_whatever_the_target_does(answer: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TOTAL_SECONDS", 0.3)
    before = threading.active_count()
    with target(answer) as there:
        started = time.monotonic()
        found = send(there.url)
        assert found.status is None and found.problem
        assert time.monotonic() - started < 2
        deadline = time.monotonic() + 5
        while any(thread.name == "webhook" for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "its thread ends too"
            time.sleep(0.01)
    assert threading.active_count() <= before + 2


def test_reads_no_more_of_an_answer_than_it_needs() -> None:
    sent = []

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2000000000\r\n\r\n")
        try:
            for _ in range(20_000):
                sent.append(connection.send(b"x" * 100_000))
        except OSError:
            sent.append(-1)

    with target(flood) as there:
        assert send(there.url) == Answer(200)
        deadline = time.monotonic() + 5
        while not sent or sent[-1] != -1:
            assert time.monotonic() < deadline, "it is cut off"
            time.sleep(0.01)
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"),
        lambda connection: connection.sendall(b"\0" * 1000),
        lambda connection: connection.sendall(b"HTTP/1.1 " + b"9" * 100_000 + b"\r\n\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n"),
        lambda connection: connection.shutdown(socket.SHUT_RDWR),
        lambda connection: None,
    ],
    ids=range(6),
)
def test_nonsense_is_a_failure(answer: Callable) -> None:
    with target(answer) as there:
        found = send(there.url)
    assert found.status is None and found.problem


def test_nobody_there_is_a_failure() -> None:
    assert "can't be reached" in str(send("http://127.0.0.1:9/").problem)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.192",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_sends_nothing_inside(host: str) -> None:
    with target() as there:
        found = send(f"http://{host}:{there.port}/", allowed=())
    assert "not a public address" in str(found.problem), found
    assert not there.received


def test_allows_what_the_setting_names() -> None:
    with target() as there:
        assert send(there.url, allowed=("all",)).status == 204
        assert send(there.url, allowed=("127.0.0.1/32",)).status == 204
        assert send(there.url, allowed=("127.0.0.2/32", "::/0")).status is None
    assert len(there.received) == 2


def resolving(*addresses: str) -> Callable:
    def resolve(name: str, port: int, **_: object) -> list:
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (family[ipaddress.ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses
        ]

    return resolve


def test_name_with_a_private_address_among_public_ones_is_refused() -> None:
    found = send("http://both.example/", allowed=(), resolve=resolving("8.8.8.8", "10.0.0.1"))
    assert "10.0.0.1 is not a public address" in str(found.problem)


def test_name_is_resolved_once_so_that_its_answer_can_not_change() -> None:
    asked = []

    def rebinding(name: str, port: int, **_: object) -> list:
        asked.append(name)
        return resolving("127.0.0.1" if len(asked) == 1 else "127.0.0.99")(name, port)

    with target() as there:
        assert send(f"http://hooks.example:{there.port}/", resolve=rebinding).status == 204
    assert asked == ["hooks.example"]
    assert there.received[0].headers["host"] == f"hooks.example:{there.port}"


def test_name_that_does_not_exist_is_a_failure() -> None:
    def unknown(*_: object, **__: object) -> list:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert send("http://nowhere.example/", resolve=unknown) == Answer(None, "its name can't be resolved")
    assert send("http://nowhere.example/", resolve=lambda *_, **__: []).status is None


def test_plain_addresses_inside_are_refused_when_they_are_given() -> None:
    closed = HttpSender(())
    for url in ("http://127.0.0.1/", "https://[::1]/", "http://10.1.2.3:80/"):
        with pytest.raises(Unprocessable):
            closed.check(url)
        HttpSender(("all",)).check(url)
    closed.check("https://8.8.8.8/")
    closed.check("https://example.org/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for hooks.example that nobody has signed but itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    key = path.with_name("key.pem")
    subprocess.run([*command, "-keyout", key, "-out", path, "-days", "2", *names], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def over_tls(certificate: Path, names: list[str | None]) -> Callable[[socket.socket], None]:
    """A server that speaks TLS once the connection is there, and notes what name it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            read = b""
            while not read.endswith(b"}"):  # closing with something unread resets the connection
                read += secure.recv(65536)
            secure.sendall(b"HTTP/1.1 204 OK\r\n\r\n")

    return answer


class TlsTarget:
    """Accepts one connection after the other and speaks TLS on it."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._answer(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize(
    ("name", "trusted", "status"),
    [("hooks.example", True, 204), ("hooks.example", False, None), ("other.example", True, None)],
)
def test_tls_is_verified_for_the_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, status: int | None
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate) if trusted else os.devnull)
    names: list[str | None] = []
    there = TlsTarget(over_tls(certificate, names))
    found = send(f"https://{name}:{there.port}/", resolve=resolving("127.0.0.1"))
    there.close()
    assert found.status == status
    assert names == [name]
    if status is None:
        assert "TLS failed" in str(found.problem)


def test_tls_handshake_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TOTAL_SECONDS", 0.3)
    there = TlsTarget(hang)
    started = time.monotonic()
    assert send(f"https://hooks.example:{there.port}/", resolve=resolving("127.0.0.1")).status is None
    there.close()
    assert time.monotonic() - started < 2
    deadline = time.monotonic() + 5
    while any(thread.name == "webhook" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_plain_http_on_a_tls_address_is_a_failure() -> None:
    with target() as there:
        found = send(f"https://hooks.example:{there.port}/", resolve=resolving("127.0.0.1"))
    assert found.status is None and found.problem
