"""Health and metrics, for engines, load balancers and Prometheus. No token is asked for, and nothing secret told."""

import asyncio
import time
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from backend import __version__
from backend.domain.reading import Reader, reading_for
from backend.errors import Unavailable
from backend.usecases import health, outbox
from backend.usecases.health import Health, State
from backend.usecases.outbox import Figures
from backend.web import metrics
from backend.web.answers import json_answer
from backend.web.deps import ports_of
from backend.web.openapi import FIGURES, answers, json_of

router = APIRouter(tags=["operation"])

# Anybody may ask, and each check flushes the disk: within this time all share one answer.
SHARED_SECONDS = 1.0
FIGURES_SECONDS = 5.0
_ANSWERS = {
    **answers("HealthOut", closed=False),
    503: {"description": "Not usable now; `ports` says why.", **json_of("HealthOut")},
}


class Checker:
    """Asks the ports, at most once in SHARED_SECONDS."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._figures_lock = asyncio.Lock()
        self._health: Health | None = None
        self._at = 0.0
        self._figures: Figures | None = None
        self._figures_at = 0.0

    async def check(self, request: Request) -> Health:
        """The state of every port."""
        async with self._lock:
            if self._health is None or time.monotonic() - self._at > SHARED_SECONDS:
                with reading_for(Reader(is_health=True)):
                    self._health = await health.check(ports_of(request))
                self._at = time.monotonic()
            return self._health

    async def figures(self, request: Request) -> Figures | None:
        """How the outbox stands; None where its store can't tell."""
        async with self._figures_lock:
            if time.monotonic() - self._figures_at > FIGURES_SECONDS:
                try:
                    with reading_for(Reader(is_health=True)):
                        self._figures = await outbox.figures(ports_of(request))
                except Unavailable:
                    self._figures = None
                self._figures_at = time.monotonic()
            return self._figures


def install(app: FastAPI) -> None:
    """Add the calls."""
    app.state.checker = Checker()
    app.routes.extend(router.routes)


def _body(found: Health) -> dict[str, Any]:
    ports: dict[str, Any] = {}
    for name, port in found.ports.items():
        ports[name] = {"adapter": port.adapter, "status": port.state, "latency_ms": port.latency_ms}
        if port.reason is not None:
            ports[name]["reason"] = port.reason
    return {"status": found.state, "version": __version__, "ports": ports}


@router.get("/health", summary="Whether every port works", responses=_ANSWERS)
async def get_health(request: Request) -> Response:
    """Each port really tried. 503 only where a restart or a free disk would mend it: our own storage."""
    found = await request.app.state.checker.check(request)
    return json_answer(_body(found), 503 if found.state is State.UNAVAILABLE else 200)


@router.get("/health/ready", summary="Whether to send requests here", responses=_ANSWERS)
async def get_ready(request: Request) -> Response:
    """For load balancers: 503 where any port fails, but for the assistant, in whose place the built-in one answers."""
    found = await request.app.state.checker.check(request)
    return json_answer(_body(found), 200 if found.ready else 503)


@router.get("/health/live", summary="Whether the process answers", responses=answers("LiveOut", closed=False))
async def get_live() -> Response:
    """Touches nothing."""
    return json_answer({"status": "ok"})


@router.get("/metrics", summary="Figures for Prometheus", responses=FIGURES)
async def get_metrics(request: Request) -> Response:
    """In Prometheus' text format, all worker processes together."""
    found = await request.app.state.checker.figures(request)
    checked = await request.app.state.checker.check(request)
    ports = {name: port.state is State.OK for name, port in checked.ports.items()}
    spaces = await health.spaces(ports_of(request))
    return Response(metrics.exposition(found, ports, spaces), media_type=metrics.CONTENT_TYPE)
