"""The configuration for nginx in backend/docs, as it stands there: with TLS, uploads, downloads and live events.

Without nginx it is skipped, unless --require-nginx says otherwise; `backend/scripts/test.sh` gets it.
"""

import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import ROOT, TICKET, free_port, running, wait_until

CONFIGURATION = ROOT / "backend/docs/nginx.conf"
FETCHED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ticket-backend/nginx/usr/sbin/nginx"
MEGABYTE = 1024 * 1024
CLIENT, CLAIMED = "127.0.0.2", "203.0.113.9"
AROUND = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
"""


@dataclass(frozen=True)
class Proxy:
    """nginx before a backend."""

    port: int
    plain_port: int
    folder: Path
    trusted: ssl.SSLContext

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer to one request by HTTPS, and its body."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.trusted, timeout=30, source_address=(CLIENT, 0)
        )
        given = {"Host": f"localhost:{self.port}", **headers}
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


def nginx(config: pytest.Config) -> str:
    """The program; skips or fails where there is none."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or (FETCHED.exists() and str(FETCHED))
    reason = "needs nginx and openssl; backend/scripts/test.sh gets nginx from Debian"
    if program and shutil.which("openssl"):
        return program
    (pytest.fail if config.getoption("--require-nginx") else pytest.skip)(reason)
    raise AssertionError


@pytest.fixture(scope="module")
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    program, folder = nginx(request.config), tmp_path_factory.mktemp("proxy")
    key, certificate, port, plain_port = folder / "key.pem", folder / "certificate.pem", free_port(), free_port()
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *names]
    subprocess.run(made, check=True, capture_output=True)
    with running(folder, TRUSTED_PROXIES="127.0.0.1", MAX_UPLOAD_SIZE_MB="10") as (_, behind):
        site = CONFIGURATION.read_text()
        site = re.sub(r"(?m)^ *listen \[::\].*\n", "", site)  # of one address, where a port is free
        for written, here in {
            "listen 80;": f"listen 127.0.0.1:{plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "127.0.0.1:8000": f"127.0.0.1:{behind}",
            "/etc/ssl/certs/help.example.org.pem": str(certificate),
            "/etc/ssl/private/help.example.org.key": str(key),
            "help.example.org": "localhost",
        }.items():
            assert written in site
            site = site.replace(written, here)
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(AROUND)
        with (folder / "nginx.log").open("ab") as log:
            process = subprocess.Popen(
                [program, "-p", folder, "-c", "nginx.conf", "-e", "stderr"], stderr=log, start_new_session=True
            )
        proxy = Proxy(port, plain_port, folder, ssl.create_default_context(cafile=certificate))
        try:
            wait_until(lambda: process.poll() is not None or is_up(proxy))
            assert process.poll() is None, (folder / "nginx.log").read_text()
            yield proxy
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert (folder / "nginx.log").read_text() == ""


def is_up(proxy: Proxy) -> bool:
    with suppress(OSError):
        return proxy.ask("GET", "/health/ready")[0].status == 200
    return False


def as_admin(**more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json", **more}


def form(size: int) -> tuple[bytes, dict[str, str]]:
    """A ticket with a file of so many bytes."""
    fields = "".join(f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in TICKET.items())
    file = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n' + os.urandom(size)
    return fields.encode() + file + b"\r\n--b--\r\n", as_admin(**{"Content-Type": "multipart/form-data; boundary=b"})


def test_a_session_of_the_page_works_by_https_alone(proxy: Proxy) -> None:
    here = f"https://localhost:{proxy.port}"
    body = json.dumps({"token": ADMIN_TOKEN})
    answer, _ = proxy.ask("POST", "/api/session", body, Origin=here, **{"Content-Type": "application/json"})
    assert answer.status == 201
    assert answer.headers["strict-transport-security"]
    cookie = answer.headers["set-cookie"]
    assert "Secure" in cookie and cookie.startswith("__Host-")
    kept = cookie.partition(";")[0]
    sent = {"Cookie": kept, "Content-Type": "application/json"}
    assert proxy.ask("POST", "/api/tickets", json.dumps(TICKET), Origin=here, **sent)[0].status == 201
    elsewhere = "https://elsewhere.example.org"
    assert proxy.ask("POST", "/api/tickets", json.dumps(TICKET), Origin=elsewhere, **sent)[0].status == 403
    assert b"T</" in proxy.ask("GET", "/queue", Cookie=kept)[1]


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=10)
    connection.request("GET", "/tickets/8?x=y", headers={"Host": "localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["location"]) == (308, "https://localhost/tickets/8?x=y")
    connection.close()


@pytest.mark.parametrize(("size", "status"), [(10 * MEGABYTE, 201), (10 * MEGABYTE + 1, 413), (40 * MEGABYTE, 413)])
def test_uploads_are_bounded_by_the_backend_alone(proxy: Proxy, size: int, status: int) -> None:
    body, headers = form(size)
    answer, told = proxy.ask("POST", "/api/tickets", body, **headers)
    assert answer.status == status, told
    if status == 413:
        assert answer.headers["content-type"] == "application/problem+json"
        return
    (file,) = json.loads(proxy.ask("GET", f"/api/tickets/{json.loads(told)['id']}/attachments", **as_admin())[1])[
        "items"
    ]
    answer, content = proxy.ask("GET", file["url"], **as_admin())
    assert answer.status == 200 and content in body and len(content) == size
    answer, part = proxy.ask("GET", file["url"], **as_admin(Range="bytes=5-14"))
    assert (answer.status, part) == (206, content[5:15])


def test_live_events_come_at_once(proxy: Proxy) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=proxy.trusted, timeout=10)
    connection.request("GET", "/api/events", headers=as_admin(Host=f"localhost:{proxy.port}"))
    stream = connection.getresponse()
    lines: list[bytes] = []
    while b"event: hello\n" not in lines:
        lines.append(stream.readline())
    began = time.monotonic()
    assert proxy.ask("POST", "/api/tickets", json.dumps(TICKET), **as_admin())[0].status == 201
    while b"event: ticket.created\n" not in lines:
        lines.append(stream.readline())
    assert time.monotonic() - began < 5
    connection.close()


def test_the_client_has_its_own_address_whatever_it_claims(proxy: Proxy) -> None:
    wrong = {"Authorization": "Bearer guessed-word", "X-Forwarded-For": CLAIMED, "X-Real-IP": CLAIMED}
    assert proxy.ask("GET", "/api/tickets", **wrong)[0].status == 401
    log = proxy.folder / "log"
    wait_until(lambda: "a sign-in failed" in log.read_text())
    assert CLIENT in log.read_text() and CLAIMED not in log.read_text()


def test_figures_are_for_nobody_out_there(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/metrics", **as_admin())[0].status == 404
