"""What other helpdesks call a status and a severity, and how they write that there is none."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from backend.domain.text import clean_line, folded
from backend.domain.tickets import Severity, Status

_SEVERITIES: Mapping[Severity, str] = {
    Severity.CRITICAL: "critical, crit, blocker, blocking, urgent, highest, very high, emergency, immediate, "
    "showstopper, severe, catastrophic, top, p0, p1, s0, s1, sev0, sev1, 0, 1, kritisch, sehr hoch, dringend, "
    "kritische, höchste, allerhöchste, critique, urgente, urgent et important, crítica, critica, urgentissimo",
    Severity.HIGH: "high, higher, major, important, elevated, significant, p2, s2, sev2, 2, hoch, hohe, "
    "höher, wichtig, haute, haut, élevée, majeur, alta, alto, importante",
    Severity.MEDIUM: "medium, med, mid, normal, moderate, standard, average, default, regular, routine, p3, s3, sev3, "
    "3, mittel, mittlere, moyenne, moyen, normale, media, medio, média",
    Severity.LOW: "low, lower, lowest, very low, minor, trivial, cosmetic, planning, informational, info, wish, "
    "wishlist, nice to have, feature, p4, p5, s4, s5, sev4, sev5, 4, 5, niedrig, niedrige, niedrigste, sehr niedrig, "
    "gering, geringe, basse, bas, faible, mineur, baja, bajo, bassa, basso, baixa",
}
_STATUSES: Mapping[Status, str] = {
    Status.OPEN: "open, opened, new, to do, todo, backlog, reopened, re opened, submitted, registered, received, "
    "unassigned, created, active, triage, untriaged, needs triage, selected for development, ready, queued, "
    "waiting for support, waiting on support, waiting for agent, pending agent, logged, unread, "
    "not started, not yet started, unstarted, nicht begonnen, nicht gestartet, offen, neu, nouveau, "
    "ouvert, nuevo, abierto, nuovo, aperto, novo, aberto",
    Status.IN_PROGRESS: "in progress, progress, inprogress, work in progress, wip, doing, started, assigned, "
    "allocated, in work, working, work started, processing, in process, under investigation, investigating, "
    "investigation, in review, under review, review, in development, development, testing, in testing, escalated, "
    "accepted, acknowledged, in bearbeitung, bearbeitung, in arbeit, en cours, en cours de traitement, en curso, "
    "en progreso, in lavorazione, in corso, em andamento",
    Status.WAITING: "waiting, wait, pending, hold, on hold, onhold, paused, blocked, deferred, postponed, stalled, "
    "suspended, snoozed, feedback, need info, needs info, need more info, needs more info, more info needed, "
    "more information required, information requested, customer action required, wartend, warten, wartet, en attente, "
    "pendiente, en espera, in attesa, pendente",
    Status.RESOLVED: "resolved, done, fixed, solved, complete, completed, finished, answered, implemented, gelöst, "
    "erledigt, behoben, résolu, resuelto, hecho, terminado, risolto, completato, resolvido, concluído",
    Status.CLOSED: "closed, close, cancelled, canceled, rejected, declined, duplicate, invalid, wont fix, won't fix, "
    "wontfix, won't do, wont do, archived, withdrawn, abandoned, not a bug, no action, merged, deleted, spam, "
    "geschlossen, abgeschlossen, abgebrochen, abgelehnt, fermé, clos, annulé, cerrado, cancelado, chiuso, annullato, "
    "fechado",
}
# As a status begins: `Waiting for customer`, `Pending reminder`, `Closed (no answer)`.
_BEGINNINGS = (
    (("waiting", "awaiting", "pending", "on hold", "hold", "wartet", "warten", "en attente"), Status.WAITING),
    (("closed", "cancelled", "canceled"), Status.CLOSED),
    (("resolved", "solved"), Status.RESOLVED),
    (("in progress", "work in progress"), Status.IN_PROGRESS),
    (("open", "new", "reopened"), Status.OPEN),
)
_NONE = frozenset(
    [
        "-",
        "--",
        "---",
        "–",
        "—",
        "n/a",
        "#n/a",
        "n.a.",
        "na",
        "k.a.",
        "none",
        "(none)",
        "<none>",
        "null",
        "(null)",
        "<null>",
        "nil",
        "nan",
        "nat",
        "\\n",
        "undefined",
        "unset",
        "(empty)",
        "empty",
    ]
) | {"", "n. a.", "k. a.", "not set", "(not set)"}
_NOT_RESOLVED = frozenset({"unresolved", "not resolved", "unsolved", "not solved"}) | {
    "ungelöst",
    "nicht gelöst",
    "unerledigt",
    "nicht erledigt",
    "non résolu",
    "non résolue",
    "sin resolver",
    "no resuelto",
    "non risolto",
    "não resolvido",
    "onopgelost",
}
_NOBODY = frozenset({"unassigned", "nobody", "no one", "not assigned", "no agent", "anonymous"})
_LONGEST = 2_000  # of what can be a word
_GAPS = re.compile(r"[\s_\-\u2010-\u2015/.:,;()\[\]]+")
_CODE = r"(?:p|s|sev|prio|priority|severity)"
_NUMBERED = re.compile(rf"^{_CODE}? ?[0-9]{{1,3}} (?=[^\W\d])")
_NUMBER_AFTER = re.compile(rf"(?<=[^\W\d]) {_CODE}? ?[0-9]$")
# A number that a name of somebody's own follows: `1 - Feuer`, `(2) Warm`, `P1 Feuer`; not `2 days` or `1 of 5`.
_CODED = re.compile(rf"[(\[]?({_CODE} ?[0-9]\b|[0-9](?= ?[.:)\]|]| [-\u2010-\u2015] ))[^\w+%]+[^\W\d_][^\d]*").fullmatch
_WHOLE = re.compile(r"(?<![\d.,])([0-9])[.,]0+(?![\d.,])")
_SIGNED = re.compile(r"[-+\u2010-\u2015\u2212]\s*[0-9]").match
_AFTER = re.compile(r"(?<=\S) (?:priority|prio|severity|urgency|impact|priorität)$")
_NAMED = re.compile(r"(?:priority|prio|severity|sev|level|urgency|impact|status|state|p) ?(?=\S)")


_ADORNMENTS = frozenset('!?*#"\u00a1\u00bf\u2022\u201c\u201d\u201e\u00ab\u00bb\ufe0e\ufe0f')


def as_word(text: str) -> str:
    """A cell, a word of a mapping or a column's name as they are compared. Empty where nothing can be seen."""
    return folded(clean_line(text)) if len(text) <= _LONGEST else text


def _by_word(known: Mapping[Severity, str] | Mapping[Status, str]) -> dict[str, str]:
    return {_plain(word): str(ours) for ours, words in known.items() for word in words.split(", ")}


def _plain(word: str) -> str:
    """A word without what only adorns it: `Kritisch!`, `* Open *`, and signs such as a red circle."""
    return " ".join(_GAPS.sub(" ", "".join(map(_unadorned, as_word(word).replace("\u2019", "'")))).split())


def _unadorned(character: str) -> str:
    return " " if character in _ADORNMENTS or unicodedata.category(character) in ("So", "Sk", "Cf", "Me") else character


_SEVERITY_OF = _by_word(_SEVERITIES)
_STATUS_OF = _by_word(_STATUSES)


def is_none(text: str) -> bool:
    """Whether a cell says that it says nothing."""
    return as_word(text) in _NONE


def is_nobody(text: str) -> bool:
    """Whether a person's cell says that it is nobody."""
    return as_word(text) in _NOBODY


def is_unresolved(text: str) -> bool:
    """Whether a resolution's cell says that there is none yet, as Jira writes `Unresolved`."""
    return _plain(text) in _NOT_RESOLVED


def severity_of(text: str) -> str | None:
    """One of Severity for another helpdesk's word (`P1`, `1 - Critical`, `Sehr hoch`); None where it is unknown."""
    text = _WHOLE.sub(r"\1", as_word(text))
    if _SIGNED(text):
        return None
    return next((_SEVERITY_OF[word] for word in _readings(text) if word in _SEVERITY_OF), None)


def status_of(text: str) -> str | None:
    """One of Status for another helpdesk's word (`In-Progress`, `Waiting for customer`); None where it is unknown."""
    for word in _readings(text):
        if word in _STATUS_OF:
            return _STATUS_OF[word]
    word = _plain(text)
    for beginnings, status in _BEGINNINGS:
        if word.startswith(tuple(f"{beginning} " for beginning in beginnings)):
            return str(status)
    return None


def _readings(text: str) -> Iterator[str]:
    """The word, and the same without a number or a name before or after it."""
    word = _plain(text)
    for shorter in (word, _NUMBER_AFTER.sub("", word), _AFTER.sub("", word)):
        yield shorter
        rest = _NUMBERED.sub("", shorter)
        if not any(map(str.isdecimal, rest)):  # as in `P1/P2`
            yield rest
    coded = _CODED(as_word(text))
    if coded:
        yield _plain(coded[1])
    named = _NAMED.match(word)
    if named:
        yield word[named.end() :]
