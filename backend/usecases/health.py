"""Whether every port really works."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.space import Space
from backend.errors import Unavailable
from backend.ports import Port, Ports

PROBE_SECONDS = 2.0
# What the service does without, since something else answers in its place: no replica need leave the proxy for it, and
# all of them would at once.
OPTIONAL = frozenset({"assistant", "backups", "space"})
SPACE = "space"


class State(StrEnum):
    """ok; degraded: something remote fails, or a volume runs low; unavailable: our own storage fails."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class PortState:
    """How one port answered."""

    adapter: str
    state: State
    latency_ms: float
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The worst state, and each port's."""

    state: State
    ports: dict[str, PortState]

    @property
    def ready(self) -> bool:
        """Whether requests should come here."""
        return all(port.state is State.OK for name, port in self.ports.items() if name not in OPTIONAL)


async def check(ports: Ports) -> Health:
    """Try every port at once, each for at most PROBE_SECONDS."""
    named = ports.named()
    states = await asyncio.gather(*(_probe(port) for port in named.values()))
    by_name = dict(zip(named, states, strict=True))
    if space := await _space(ports):
        by_name[SPACE] = space
    found = {port.state for port in by_name.values()}
    worst = next((s for s in (State.UNAVAILABLE, State.DEGRADED) if s in found), State.OK)
    return Health(worst, by_name)


async def spaces(ports: Ports) -> Sequence[Space]:
    """How the volumes stand; nothing where that can't be said."""
    try:
        return await asyncio.to_thread(ports.spaces)
    except Unavailable:
        return ()


async def _space(ports: Ports) -> PortState | None:
    """Degraded before anything is refused; None where nothing is kept on a volume."""
    started = time.perf_counter()
    volumes = await spaces(ports)
    low = [str(space) for space in volumes if space.near]
    latency = round((time.perf_counter() - started) * 1000, 2)
    state = State.DEGRADED if low else State.OK
    return PortState("volumes", state, latency, "; ".join(low) or None) if volumes else None


async def _probe(port: Port) -> PortState:
    started = time.perf_counter()
    reason = None
    try:
        await asyncio.wait_for(port.probe(), PROBE_SECONDS)
    except Unavailable as problem:
        reason = str(problem)
    except TimeoutError:
        reason = f"no answer within {PROBE_SECONDS:g} s"
    latency = round((time.perf_counter() - started) * 1000, 2)
    state = State.OK if reason is None else State.DEGRADED if port.remote else State.UNAVAILABLE
    return PortState(port.adapter, state, latency, reason)
