"""The rules of webhooks: addresses, signatures, and when to try again."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.tickets import Position
from backend.domain.values import now
from backend.domain.webhooks import (
    DELAYS,
    Answer,
    Delivery,
    State,
    WebhookDraft,
    checked_url,
    judged,
    later,
    new_delivery,
    new_webhook,
    rotated,
    seconds_between,
    signature,
    webhook_of,
)
from tests.builders import an_event

AT = "2026-11-25T10:00:00.000000Z"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org/hook?a=b",
        "http://127.0.0.1:8080/x",
        "https://[2606:4700::1111]:8443/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_takes_addresses(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:pass@example.org/",
        "https://user@example.org/",
        "https://good.example\\@evil.example/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:x/",
        "https://example.org:/",
        "https://example.org/a b",
        "https://example.org/\n",
        "https://exam\nple.org/",
        "https://example.org/\r\nx: y",
        "https://example.org/#top",
        "https://bücher.example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://exa mple.org/",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_refuses_addresses(url: str) -> None:
    with pytest.raises(ValueError):
        checked_url(url)


@given(st.text(alphabet="ab1.:/@[]%#?\\ \n\0é²", max_size=20).map(lambda text: "https://" + text))
def test_any_text_is_taken_or_refused(url: str) -> None:
    with suppress(ValueError):
        assert checked_url(url).isascii()


def test_signs_as_the_specification_does() -> None:
    secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"
    body = b'{"event_type":"ping","data":{"success":true}}'
    expected = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    assert signature([secret], "msg_loFOjxBNrRLzqYUf", 1731705121, body) == expected
    assert signature([secret, secret], "msg_loFOjxBNrRLzqYUf", 1731705121, body) == f"{expected} {expected}"


def test_both_secrets_sign_for_a_day() -> None:
    first = new_webhook(WebhookDraft(url="https://example.org/"), 0, AT)
    second = rotated(first, AT)
    assert second.secret != first.secret and second.record.version == 2
    assert second.secrets_at(later(AT, 86_399)) == (second.secret, first.secret)
    assert second.secrets_at(later(AT, 86_400)) == (second.secret,)
    assert webhook_of(second.record) == second


def a_position(number: int = 5, kind: str = "created", internal: bool = False) -> Position:
    return Position(number, an_event("t", kind, internal=internal), 1, "grace", None, False)


@pytest.mark.parametrize(
    ("draft", "position", "taken"),
    [
        ({}, a_position(), True),
        ({}, a_position(4), False),
        ({}, a_position(internal=True), False),
        ({"internal": True}, a_position(internal=True), True),
        ({"events": ["ticket.created"]}, a_position(), True),
        ({"events": ["ticket.resolved"]}, a_position(), False),
    ],
)
def test_takes_what_it_asked_for(draft: dict, position: Position, taken: bool) -> None:
    assert new_webhook(WebhookDraft(url="https://example.org/", **draft), 4, AT).takes(position) == taken


def attempted(attempts: int = 1) -> Delivery:
    return replace(new_delivery("w", "ping", None, "{}", AT), attempts=attempts)


def delay(delivery: Delivery) -> float:
    return seconds_between(AT, delivery.due_at)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    after = judged(attempted(), Answer(status), AT, 0.5)
    assert (after.state, after.settled_at, after.problem) == (State.DELIVERED, AT, None)


@pytest.mark.parametrize("status", [100, 300, 301, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again(status: int) -> None:
    after = judged(attempted(), Answer(status), AT, 0.5)
    assert (after.state, after.status, delay(after)) == (State.PENDING, status, 5)
    assert after.problem


def test_waits_longer_each_time_and_gives_up_in_the_end() -> None:
    delays = [delay(judged(attempted(n), Answer(None, "x" * 999), AT, 0.5)) for n in range(1, len(DELAYS) + 1)]
    assert delays == list(DELAYS)
    assert sum(delays) > 3 * 86_400
    dead = judged(attempted(len(DELAYS) + 1), Answer(500), AT, 0.5)
    assert (dead.state, dead.settled_at) == (State.DEAD, AT)


def test_retries_are_spread() -> None:
    assert delay(judged(attempted(), Answer(500), AT, 0.0)) == 4
    assert delay(judged(attempted(), Answer(500), AT, 1.0)) == 6


def test_gone_is_dead_at_once() -> None:
    assert judged(attempted(), Answer(410), AT, 0.5).state is State.DEAD


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("1", 5),
        ("999999999", 86_400),
        ("Wed, 25 Nov 2026 10:10:00 GMT", 600),
        ("Wed, 25 Nov 2020 10:10:00 GMT", 5),
        ("soon", 5),
        ("-5", 5),
        ("1e9", 5),
        ("", 5),
        ("9" * 400, 5),
        ("Wed, 99 Nov 99999 10:10:00 GMT", 5),
    ],
)
def test_honours_retry_after_within_bounds(asked: str, seconds: float) -> None:
    assert delay(judged(attempted(), Answer(503, None, asked), AT, 0.5)) == seconds
    assert delay(judged(attempted(), Answer(500, None, asked), AT, 0.5)) == 5


def test_later_keeps_the_form_of_an_instant() -> None:
    assert later(AT, 0.25) == "2026-11-25T10:00:00.250000Z"
    assert len(later(now(), 1)) == len(AT)
