"""Log lines to standard output, as text or JSON, each with the id of the request it belongs to.

Ticket text, file names and secrets never go into a log line.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="-")


class TextFormatter(logging.Formatter):
    """`2026-11-22T10:00:00.123Z INFO    backend.web [request id] message key=value`"""

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {key}={value}" for key, value in getattr(record, "facts", {}).items())
        line = (
            f"{_instant(record)} {record.levelname:<7} {record.name} [{request_id.get()}] {record.getMessage()}{extra}"
        )
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def start_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send everything, uvicorn's lines included, to one stream (standard output) in one form."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # web/middleware.py writes one line a request
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def log(logger: logging.Logger, level: int, message: str, **facts: object) -> None:
    """Log `message` with named facts, which become keys in JSON and `key=value` in text."""
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={"facts": facts})
