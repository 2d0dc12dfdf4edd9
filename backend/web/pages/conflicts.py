"""Two people change the same thing on a page: what only one of them changed counts, what both changed is to be chosen.

A form carries for each field what it was made from (`was_<name>`), and after a conflict a choice (`keep_<name>`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from backend.domain.values import fingerprint
from backend.errors import PreconditionFailed
from backend.web.pages.posted import Fields

_LONGEST_SEEN = 200
_LONGEST_TOLD = 80
_TRIES = 4
THEIRS = "theirs"


class Clash(PreconditionFailed):
    """Both changed these fields. `theirs` is what each is now, as its form has it."""

    def __init__(self, theirs: Mapping[str, str]) -> None:
        told = ", ".join(_told(name.replace("_", " "), value) for name, value in theirs.items())
        super().__init__(
            f"Somebody else changed this while you were editing: {told}. Your changes are not saved yet. "
            "Choose yours or theirs, then save again."
        )
        self.theirs = theirs


@dataclass(frozen=True, slots=True)
class Merged:
    """What each field is to be, and which of them thereby change."""

    values: Mapping[str, str]
    changed: frozenset[str]


def seen(text: str) -> str:
    """What a form says of the value that it was made from: the text, or a fingerprint of a long one."""
    return text if len(text) <= _LONGEST_SEEN else fingerprint("seen", _plain(text))


def is_merged(fields: Fields) -> bool:
    """Whether the form says what it was made from."""
    return any(name.startswith("was_") for name, _ in fields.items())


def merged(fields: Fields, present: Mapping[str, str]) -> Merged:
    """What was typed put together with what is there, both as the form writes them. Raises Clash."""
    values: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for name, theirs in present.items():
        mine, kept = _plain(fields.one(name)), fields.one(f"keep_{name}")
        if kept == THEIRS or _is_untouched(fields, name) or mine == _plain(theirs):
            values[name] = theirs
        else:
            values[name] = mine
            if fields.was_sent(f"was_{name}") and not _is_seen(fields.one(f"was_{name}"), theirs):
                clashes[name] = theirs
    if clashes:
        raise Clash(clashes)
    return Merged(values, frozenset(name for name, value in values.items() if value != present[name]))


def rebased(fields: Fields, present: Mapping[str, str]) -> Fields:
    """The form to show again after a refusal: what was typed; what is there now where nothing was, or where that was
    chosen."""
    shown = {
        name: theirs if fields.one(f"keep_{name}") == THEIRS or _is_untouched(fields, name) else fields.one(name)
        for name, theirs in present.items()
    }
    return Fields([pair for pair in fields.items() if pair[0] not in shown] + [*shown.items()])


async def until_current(attempt: Callable[[], Awaitable[None]]) -> None:
    """Read, merge and write; again where somebody else's write came between. Raises Clash, PreconditionFailed."""
    for last in (*[False] * (_TRIES - 1), True):
        try:
            await attempt()
            return
        except Clash:
            raise
        except PreconditionFailed:
            if last:
                raise


def theirs_of(problem: Exception) -> Mapping[str, str]:
    """The fields that a form was refused for, each as it is now; empty for any other refusal."""
    return problem.theirs if isinstance(problem, Clash) else {}


def _told(name: str, value: str) -> str:
    if len(value) > _LONGEST_TOLD or "\n" in value:
        return f"{name} has changed"
    return f"{name} is {value.replace('_', ' ') or 'empty'} now"


def _is_untouched(fields: Fields, name: str) -> bool:
    return fields.was_sent(f"was_{name}") and _is_seen(fields.one(f"was_{name}"), _plain(fields.one(name)))


def _is_seen(was: str, text: str) -> bool:
    return was in (text, _plain(text), seen(text))


def _plain(text: str) -> str:
    """As a text box gives it back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
