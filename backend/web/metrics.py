"""Figures about requests, for Prometheus. With several worker processes they add up in files
(PROMETHEUS_MULTIPROC_DIR, which `python -m backend serve` sets before it starts them)."""

import os
from collections.abc import Mapping, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics import MetricWrapperBase

from backend.domain.space import Space
from backend.usecases.outbox import Figures

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_seconds = Histogram(
    "http_request_duration_seconds",
    "Time to the last byte of the answer",
    ["method", "route"],
    buckets=_BUCKETS,
)
_answers = Counter("http_requests_total", "Answers", ["method", "route", "status"])
_running = Gauge("http_requests_running", "Requests being answered now", multiprocess_mode="livesum")

_failed = Counter("sign_ins_failed_total", "Sign-ins with an unknown, revoked or expired token or session")
_locked = Counter("lock_outs_total", "Times that an address was locked out for guessing")
_connections = Gauge("connections_open", "Connections of clients", multiprocess_mode="livesum")
_limited = Counter("connections_limited_total", "Connections refused or ended by a limit", ["reason"])
_reads = Gauge("reads_running", "Searches and lists being read on a thread now", multiprocess_mode="livesum")
_reads_waiting = Gauge(
    "reads_waiting", "Searches and lists that wait for their caller's turn", multiprocess_mode="livesum"
)
_reads_refused = Counter(
    "reads_refused_total", "Reads stopped or refused: full (429), overdue (503), gone (the client)", ["reason"]
)
_outcomes = Counter(
    "worker_outcomes_total", "What the worker did or an assistant was asked, and how it went", ["what", "outcome"]
)

_held = Histogram(
    "event_loop_held_seconds",
    "Steps of a request or duty that held up the event loop for at least 10 ms",
    ["work"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)

_children: dict[tuple[str, str, int], tuple[MetricWrapperBase, MetricWrapperBase]] = {}


def begin() -> None:
    """A request has come in."""
    _running.inc()


def end(method: str, route: str, status: int, seconds: float) -> None:
    """It has been answered. `route` is the pattern, never the path: few values, nothing private."""
    _running.dec()
    key = (method, route, status)
    children = _children.get(key)
    if children is None:
        children = _children[key] = (
            _seconds.labels(method, route),
            _answers.labels(method, route, str(status)),
        )
    timer, counter = children
    timer.observe(seconds)  # type: ignore[attr-defined]
    counter.inc()  # type: ignore[attr-defined]


def sign_in_failed() -> None:
    """A token or session was refused."""
    _failed.inc()


def locked_out() -> None:
    """An address has guessed too often."""
    _locked.inc()


def connection(what: str) -> None:
    """A connection was opened or closed, or ended by a limit (see connections.py)."""
    if what in ("opened", "closed"):
        _connections.inc(1 if what == "opened" else -1)
    else:
        _limited.labels(what).inc()


def held(work: str, seconds: float) -> None:
    """A step of a route or duty held up the event loop for so long (see watchdog.py)."""
    _held.labels(work).observe(seconds)


def read(what: str) -> None:
    """A read has begun to wait, has started or ended, or was refused (see domain/reading.py)."""
    if what in ("started", "ended"):
        _reads.inc(1 if what == "started" else -1)
    elif what in ("waits", "waits_no_more"):
        _reads_waiting.inc(1 if what == "waits" else -1)
    else:
        _reads_refused.labels(what).inc()


def count(what: str, outcome: str) -> None:
    """The worker took a turn at a duty or tried to deliver to a webhook, or an assistant was asked."""
    _outcomes.labels(what, outcome).inc()


def exposition(outbox: Figures | None, ports: Mapping[str, bool], spaces: Sequence[Space] = ()) -> bytes:
    """Everything, in the text format; of the outbox and the volumes what they say, of the ports what `/health` says."""
    registry = _volumes(spaces)
    works = Gauge("port_up", "Whether the port works: 1 or 0, as in /health", ["port"], registry=registry)
    for name, up in ports.items():
        works.labels(name).set(up)
    return _own() + (generate_latest(_of(outbox)) if outbox else b"") + generate_latest(registry)


def _own() -> bytes:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _volumes(spaces: Sequence[Space]) -> CollectorRegistry:
    registry = CollectorRegistry()
    free = Gauge("disk_free_bytes", "Free on the volume of a state directory", ["directory"], registry=registry)
    reserve = Gauge("disk_reserve_bytes", "Of these, kept in reserve", ["directory"], registry=registry)
    for space in spaces:
        free.labels(space.name).set(space.free)
        reserve.labels(space.name).set(space.reserve)
    return registry


def _of(outbox: Figures) -> CollectorRegistry:
    registry = CollectorRegistry()
    states = Gauge("webhook_deliveries", "Messages that are kept, by state", ["state"], registry=registry)
    for state, number in outbox.states.items():
        states.labels(state).set(number)
    behind = Gauge("outbox_lag_events", "Events not made into messages yet, as far as 500", registry=registry)
    behind.set(outbox.events_behind)
    late = Gauge("outbox_lag_seconds", "How long the first pending message has been due", registry=registry)
    late.set(outbox.seconds_late)
    return registry
