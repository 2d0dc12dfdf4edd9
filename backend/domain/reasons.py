"""What is wrong with a field, in plain words rather than Python's."""

from collections.abc import Callable, Mapping
from typing import Any


def reason_of(problem: Any) -> str:
    """One of a ValidationError's `errors()`, as the end of a sentence that begins with the field."""
    if problem["type"] == "string_pattern_mismatch":
        return "must not hold a NUL, or is not of the form described"
    plain = _PLAIN.get(problem["type"])
    if not plain:
        return str(problem["msg"]).removeprefix("Value error, ")
    return plain({"actual_length": None, **problem.get("ctx", {})})


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number != 1 else _ONE[noun]}"


def _at_most(ctx: Mapping[str, Any]) -> str:
    actual = f", not {ctx['actual_length']:,}" if isinstance(ctx["actual_length"], int) else ""
    return f"must have at most {_counted(ctx['max_length'], 'entries')}{actual}"


def _at_least(noun: str) -> Callable[[Mapping[str, Any]], str]:
    def say(ctx: Mapping[str, Any]) -> str:
        fewest = ctx["min_length"]
        return "must not be empty" if fewest == 1 else f"must have at least {_counted(fewest, noun)}"

    return say


_ONE = {"entries": "entry", "characters": "character"}
# What pydantic says in terms of Python, by its names for what can be wrong.
_PLAIN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is not known here",
    "string_too_long": lambda ctx: f"must have at most {_counted(ctx['max_length'], 'characters')}",
    "string_too_short": _at_least("characters"),
    "too_long": _at_most,
    "too_short": _at_least("entries"),
}
