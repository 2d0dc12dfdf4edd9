"""The built-in assistant: it learns from this installation's own tickets, and asks nobody."""

import asyncio

from backend.domain.neighbours import Question
from backend.domain.triage import OFFLINE, Opinion, offline


class OfflineAssistant:
    """The port `Assistant` by a vote of the most similar tickets and memories."""

    adapter = OFFLINE
    remote = False

    def open(self) -> None:
        """See ports.Port."""

    def close(self) -> None:
        """See ports.Port."""

    async def probe(self) -> None:
        """Nothing can fail that is not another port's."""

    async def suggest(self, question: Question) -> Opinion:
        """See ports.Assistant."""
        return await asyncio.to_thread(offline, question)
