"""The page at /docs (placeholder until the renderer lands)."""

HEADERS: dict[str, str] = {}


def page(document: object) -> str:
    """The page."""
    return "<!doctype html><title>Ticket Backend</title>"
