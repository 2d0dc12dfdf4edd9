"""Whose address counts, on a real server: a proxy's word only where the proxy is trusted."""

import http.client
import json
from pathlib import Path

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import running


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> http.client.HTTPResponse:
    """One request, with headers as they are given (`x_forwarded_for` is X-Forwarded-For)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sent = {"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, json.dumps(body) if body else None, sent)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_strangers_word_on_where_it_comes_from_counts_for_nothing(tmp_path: Path) -> None:
    with running(tmp_path, RATE_LIMIT_ADDRESS_PER_MINUTE="2", TRUSTED_PROXIES="10.0.0.0/8") as (_, port):
        statuses = [ask(port, "GET", "/api/session", x_forwarded_for=f"192.0.2.{n}").status for n in range(4)]
        assert statuses == [200, 200, 429, 429]
        assert ask(port, "GET", "/health/live").status == 200


def test_a_trusted_proxy_tells_address_and_scheme(tmp_path: Path) -> None:
    with running(tmp_path, RATE_LIMIT_ADDRESS_PER_MINUTE="2") as (_, port):
        body = {"token": ADMIN_TOKEN}
        by_https = ask(port, "POST", "/api/session", body, x_forwarded_for="192.0.2.1", x_forwarded_proto="https")
        assert by_https.status == 201 and "; Secure" in by_https.headers["set-cookie"]
        plain = ask(port, "POST", "/api/session", body, x_forwarded_for="192.0.2.1", x_forwarded_proto="gopher")
        assert plain.status == 201 and "Secure" not in plain.headers["set-cookie"]
        for chain in ("192.0.2.1", "198.51.100.7, 192.0.2.1", "192.0.2.1:4711", "<script>, 192.0.2.1"):
            answer = ask(port, "GET", "/api/session", x_forwarded_for=chain)
            assert answer.status == 429, f"{chain}: what the client claims lies left of what the proxy saw"
            assert 1 <= int(answer.headers["retry-after"]) <= 30
        for chain in ("192.0.2.2", "2001:db8::1", "nonsense", "", "1" * 5_000):
            assert ask(port, "GET", "/api/session", x_forwarded_for=chain).status == 200, chain


def test_guessing_is_logged_without_secrets(tmp_path: Path) -> None:
    with running(tmp_path, LOG_FORMAT="json") as (_, port):
        for number in range(12):
            found = ask(
                port, "GET", "/api/session", authorization=f"Bearer guess-{number}", x_forwarded_for="192.0.2.1"
            )
        assert found.status == 429
        assert ask(port, "GET", "/api/session", x_forwarded_for="192.0.2.2").status == 200
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line.get("address")]
    assert len(failed) == 11 and {line["address"] for line in failed} == {"192.0.2.1"}
    assert "guess-" not in log and ADMIN_TOKEN not in log
