"""The next version of this one: the same, and one step of the schema more. And the version before: one step less."""

from pathlib import Path

from backend.adapters.embedded import sqlite

NEWEST = sqlite.migrations()[-1][0]
NEXT = NEWEST + 1
STEP = "ALTER TABLE tickets ADD COLUMN of_the_next_version TEXT;"
_SCHEMA = "/app/backend/adapters/embedded/schema"


def newer_image(context: Path) -> list[str]:
    """Lines of a Containerfile that make the next version from this one's image."""
    (context / "next.sql").write_text(STEP)
    return [f"COPY --chmod=0644 next.sql {_SCHEMA}/{NEXT:04}_next.sql"]


def older_image() -> list[str]:
    """Lines of a Containerfile that make the version before this one, as far as the schema goes."""
    return ["USER 0", f"RUN rm {_SCHEMA}/{NEWEST:04}_*.sql", "USER 1000:1000"]
