"""Puts the application together: `app` is what uvicorn runs."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from types import FrameType

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from backend import __version__
from backend.connections import WATCH
from backend.errors import BadConfiguration, StorageRefused
from backend.logs import log, start_logging
from backend.ports import Ports
from backend.settings import SERVED, Settings, load_settings
from backend.watchdog import WATCHDOG
from backend.web import (
    access,
    attachments,
    audit,
    description,
    docs,
    errors,
    events,
    exports,
    figures,
    health,
    imports,
    labels,
    links,
    memories,
    metrics,
    records,
    search,
    sessions,
    sla,
    tickets,
    triage,
    webhooks,
)
from backend.web.guard import Guard
from backend.web.middleware import Edge
from backend.web.pages import install as install_pages
from backend.web.streams import Streams
from backend.wiring import wire
from backend.worker import Worker

SWITCH_SECONDS = 0.0005
"""After so long a thread that renders or reads gives way. Python's own 5 ms, several times a request, made others wait
for 0.7 s beside pages of long texts."""

logger = logging.getLogger("backend")


def create_app(settings: Settings) -> FastAPI:
    """The application for these settings. Does no I/O: the ports open when it starts."""
    ports = replace(wire(settings), count=metrics.count)
    app = FastAPI(
        title="Ticket Backend",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would lead to whatever host the request names; pages/__init__.py does it
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics and one log line a request say it
        lifespan=_lifespan(ports, settings),
    )
    app.state.ports = ports
    WATCH.observe = metrics.connection
    WATCHDOG.observe = metrics.held
    app.state.guard = Guard(
        settings.rate_limit_per_minute, settings.rate_limit_address_per_minute, settings.api_workers
    )
    app.state.streams = Streams(settings.streams_per_person, settings.streams_per_address)
    app.openapi = lambda: description.describe(app)  # type: ignore[method-assign]
    life = (links, tickets, attachments, triage, labels, sla, memories, search)
    running = (access, sessions, audit, webhooks, exports, imports, figures)
    for router in (*(part.router for part in (*life, *running)), *records.routers):
        app.routes.extend(router.routes)  # as they are: include_router analyses each of them once more
    docs.install(app)
    events.install(app)
    health.install(app)
    errors.install(app)
    install_pages(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "X-Request-ID", "Idempotency-Replayed"],
        )
    app.add_middleware(Edge)
    return app


def _lifespan(ports: Ports, settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            ports.open()
            ports.admin_hash()
        except StorageRefused as problem:
            logger.critical("%s", problem)
            raise SystemExit(problem.exit_code) from None
        if SERVED not in os.environ:  # started by uvicorn itself: nobody has said it yet
            log(logger, logging.INFO, "starting", version=__version__, **settings.effective())
        worker = Worker(ports, count=metrics.count)
        worker.start()
        if threading.current_thread() is threading.main_thread():  # elsewhere it is a test, where no signal comes
            _when_told_to_stop(app.state.hub.close)
            sys.setswitchinterval(SWITCH_SECONDS)
            gc.collect()
            gc.freeze()  # what lives as long as the process: looking it through now and then stalls requests for 20 ms
        logger.info("ready")
        yield
        await worker.stop()
        ports.close()

    return lifespan


def _when_told_to_stop(act: Callable[[], None]) -> None:
    """Act on the signal itself: the server tells the lifespan only once every open stream has ended."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):

            def handle(number: int, frame: FrameType | None, before: Callable[..., object] = before) -> None:
                with suppress(RuntimeError):  # the loop has gone
                    loop.call_soon_threadsafe(act)
                before(number, frame)

            signal.signal(number, handle)


def _app() -> FastAPI:
    try:
        settings = load_settings()
        start_logging(settings.log_level, settings.log_format)
        return create_app(settings)
    except BadConfiguration as problem:
        raise SystemExit(_refused(problem)) from None


def _refused(problem: BadConfiguration) -> int:
    sys.stderr.write(f"ticket-backend: {problem}\n")
    return problem.exit_code


app = _app()
