"""What other helpdesks call a status and a severity, and how they write that there is none."""

import re
from collections.abc import Iterator, Mapping

from backend.domain.tickets import Severity, Status

_SEVERITIES: Mapping[Severity, str] = {
    Severity.CRITICAL: "critical, crit, blocker, blocking, urgent, highest, very high, emergency, immediate, "
    "showstopper, severe, catastrophic, top, p0, p1, s0, s1, sev0, sev1, 0, 1, kritisch, sehr hoch, dringend, "
    "critique, urgente, urgent et important, crítica, critica, urgentissimo",
    Severity.HIGH: "high, higher, major, important, elevated, significant, p2, s2, sev2, 2, hoch, wichtig, haute, "
    "haut, élevée, majeur, alta, alto, importante",
    Severity.MEDIUM: "medium, med, mid, normal, moderate, standard, average, default, regular, routine, p3, s3, sev3, "
    "3, mittel, moyenne, moyen, normale, media, medio, média",
    Severity.LOW: "low, lower, lowest, very low, minor, trivial, cosmetic, planning, informational, info, wish, "
    "wishlist, nice to have, feature, p4, p5, s4, s5, sev4, sev5, 4, 5, niedrig, sehr niedrig, gering, basse, bas, "
    "faible, mineur, baja, bajo, bassa, basso, baixa",
}
_STATUSES: Mapping[Status, str] = {
    Status.OPEN: "open, opened, new, to do, todo, backlog, reopened, re opened, submitted, registered, received, "
    "unassigned, created, active, triage, untriaged, needs triage, selected for development, ready, queued, "
    "waiting for support, waiting on support, waiting for agent, pending agent, logged, unread, offen, neu, nouveau, "
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
_GAPS = re.compile(r"[\s_\-\u2010-\u2015/.:,;()\[\]]+")
_NUMBERED = re.compile(r"(?:p|s|sev|prio|priority|severity)? ?[0-9] (?=\S)")
_NAMED = re.compile(r"(?:priority|prio|severity|sev|level|urgency|impact|status|state|p) ?(?=\S)")


def _by_word(known: Mapping[Severity, str] | Mapping[Status, str]) -> dict[str, str]:
    return {_plain(word): str(ours) for ours, words in known.items() for word in words.split(", ")}


def _plain(word: str) -> str:
    return _GAPS.sub(" ", word.casefold().replace("\u2019", "'")).strip()


_SEVERITY_OF = _by_word(_SEVERITIES)
_STATUS_OF = _by_word(_STATUSES)


def is_none(text: str) -> bool:
    """Whether a cell says that it says nothing."""
    return text.casefold() in _NONE


def severity_of(text: str) -> str | None:
    """One of Severity for another helpdesk's word (`P1`, `1 - Critical`, `Sehr hoch`); None where it is unknown."""
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
    """The word, and the same without a number or a name before it."""
    word = _plain(text)
    yield word
    numbered = _NUMBERED.match(word)
    if numbered:
        yield word[numbered.end() :]
        yield numbered[0].strip()
    named = _NAMED.match(word)
    if named:
        yield word[named.end() :]
