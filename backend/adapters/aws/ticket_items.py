"""Tickets and what hangs on them as items of the table, for the modules that read and write them."""

import json
from collections.abc import Iterator
from typing import Any

from backend.adapters.aws import words
from backend.adapters.aws.postings import COMMENTS, NOTES, TICKETS, posting
from backend.adapters.aws.table import Item, Key, key_of
from backend.domain.attachments import Attachment
from backend.domain.exports import Whole
from backend.domain.pages import UNPROMISED
from backend.domain.tickets import ACTIVE, Comment, Event, Link, LinkKind, Participant, Severity, Status, Ticket

LIVE, TRASH = "LIVE", "TRASH"
COUNTED = ("created_at", "first_responded_at", "resolved_at", "category", "team", "assignee")
_JSON = ("tags", "watchers", "links", "participants")
_FACETS = ("status", "severity", "category", "assignee", "team", "requester")
_ORDERED = {
    "created": "created_at",
    "updated": "updated_at",
    "due": "due_at",
    "resolved": "resolved_at",
    "answer": "first_response_due_at",
}


def ticket_key(ticket_id: str) -> Key:
    """Where the ticket lies."""
    return f"T#{ticket_id}", "T"


def place(value: str, number: int) -> str:
    """A place in an order: by the value, then by number."""
    return f"{value} {number:015d}"


def place_of(ticket: Ticket, order: str) -> str | None:
    """The ticket's place in one of the table's orders; None where it has none."""
    if order == "number":
        return f"{ticket.number:015d}"
    value = getattr(ticket, _ORDERED.get(order, f"{order}_at"))
    return place(value, ticket.number) if value else None


def rank_of(ticket: Ticket, order: str) -> str | None:
    """Its place in a list of that order, which holds what the index of promised times lacks, too: at its end."""
    if order == "due" and not ticket.due_at:
        return UNPROMISED + place(ticket.created_at, ticket.number)
    return place_of(ticket, order)


def ticket_item(ticket: Ticket) -> Item:
    """The ticket with its places in the indexes."""
    pk, sk = ticket_key(ticket.id)
    item: Item = {"pk": pk, "sk": sk, "live": TRASH if ticket.deleted_at else LIVE}
    for name, value in zip(Ticket._fields, ticket, strict=True):
        item[name] = _text(value) if name in _JSON else value
    for order in (*_ORDERED, "number"):
        item[f"by_{order}"] = place_of(ticket, order)
    if not ticket.deleted_at:
        item |= {f"in_{facet}": getattr(ticket, facet) for facet in _FACETS}
        item["in_backlog"] = f"{ticket.status} {ticket.severity}" if ticket.status in ACTIVE else None
        item["figures"] = _text([getattr(ticket, name) for name in COUNTED])
    if ticket.merged_into is not None:  # counts once, as the ticket that goes on
        item |= {"figures": None, "by_resolved": None, "by_answer": None}
    return item


def ticket_of(item: Item) -> Ticket:
    """The ticket of an item."""
    values: dict[str, Any] = {name: item.get(name) for name in Ticket._fields}
    values["severity"], values["status"] = Severity(item["severity"]), Status(item["status"])
    for name in ("version", "updated_at"):  # of before requesters had their own
        values[f"public_{name}"] = item.get(f"public_{name}", item[name])
    values["tags"], values["watchers"] = (tuple(json.loads(item.get(name, "[]"))) for name in ("tags", "watchers"))
    values["links"] = tuple(Link(LinkKind(kind), to) for kind, to in json.loads(item.get("links", "[]")))
    values["participants"] = tuple(Participant(*pair) for pair in json.loads(item.get("participants", "[]")))
    return Ticket(**values)


def hints(ticket: Ticket) -> dict[Key, Item]:
    """What proposes the ticket to lists and searches beside the table's indexes: its labels and its words, by key."""
    if ticket.deleted_at:
        return {}
    items = [*_labels(ticket), *_postings(ticket)]
    return {key_of(item): item for item in items}


def _labels(ticket: Ticket) -> Iterator[Item]:
    kinds = (("tag", ticket.tags), ("watcher", ticket.watchers), ("participant", ticket.participating))
    for kind, values in kinds:
        for value in values:
            label = f"{kind}#{value}"
            yield {
                "pk": f"T#{ticket.id}",
                "sk": f"L#{label}",
                "in_label": label,
                "by_created": place(ticket.created_at, ticket.number),
                "version": ticket.version,
            }


def _postings(ticket: Ticket) -> Iterator[Item]:
    text = ticket_text(ticket)
    where = place(ticket.created_at, ticket.number)
    for word, weight in text.weights().items():
        yield posting(TICKETS, word, where, ticket.id, weight, text.length, ticket.version)


def outdated_words(whole: Whole) -> set[Key]:
    """Where the first layout has words of the ticket and its comments that this one no longer has. They propose what
    no longer matches, which does no harm and takes room."""
    ticket = whole.ticket
    where = place(ticket.created_at, ticket.number)
    kept = {key_of(item) for item in _postings(ticket)} if not ticket.deleted_at else set()
    earlier = words.earlier_text_of(ticket.title, ticket.description, ticket.resolution)
    found = {key_of(posting(TICKETS, word, where, ticket.id, 0, 0, 0)) for word in earlier.weights()}
    for comment in whole.comments:
        kept |= {key_of(item) for item in comment_postings(comment)}
        earlier = words.earlier_text_of(None, comment.body)
        found |= {key_of(item) for item in _comment_postings(comment, earlier)}
    return found - kept


def ticket_text(ticket: Ticket) -> words.Text:
    """What a search looks through."""
    return words.text_of(ticket.title, ticket.description, ticket.resolution)


def comment_item(comment: Comment) -> Item:
    """A comment."""
    return {
        "pk": f"T#{comment.ticket_id}",
        "sk": f"C#{comment.id}",
        "author": comment.author,
        "body": comment.body,
        "internal": comment.internal,
        "created_at": comment.created_at,
        "via": comment.via,
    }


def comment_of(item: Item) -> Comment:
    """The comment of an item."""
    return Comment(
        item["sk"][2:],
        item["pk"][2:],
        item["author"],
        item.get("body", ""),
        item["internal"],
        item["created_at"],
        item.get("via"),
    )


def comment_postings(comment: Comment) -> list[Item]:
    """What proposes the comment to searches; internal notes have words of their own."""
    return _comment_postings(comment, comment_text(comment))


def returned_postings(comment: Comment) -> list[Item]:
    """The same for one that came back from another ticket, beside those of before: searches hold each against its
    comment, so neither does harm while both are there."""
    return [{**item, "sk": f"{item['sk']} {comment.ticket_id}"} for item in comment_postings(comment)]


def _comment_postings(comment: Comment, text: words.Text) -> list[Item]:
    namespace = NOTES if comment.internal else COMMENTS
    where, document = f"{comment.created_at} {comment.id}", f"{comment.ticket_id} {comment.id}"
    return [
        posting(namespace, word, where, document, weight, text.length, 0) for word, weight in text.weights().items()
    ]


def comment_text(comment: Comment) -> words.Text:
    """What a search looks through: comments have no title."""
    return words.text_of(None, comment.body)


def attachment_item(attachment: Attachment) -> Item:
    """A file's record."""
    fields = ["key", "name", "content_type", "size", "sha256", "uploader", "created_at"]
    fields += ["uploader_id", "comment_id", "internal", "via"]
    return {"pk": f"T#{attachment.ticket_id}", "sk": f"A#{attachment.id}"} | {
        name: getattr(attachment, name) for name in fields
    }


def attachment_of(item: Item) -> Attachment:
    """The record of an item. Those of before a file could be internal say nothing of it."""
    return Attachment(
        item["sk"][2:],
        item["pk"][2:],
        item["key"],
        item["name"],
        item["content_type"],
        item["size"],
        item["sha256"],
        item["uploader"],
        item["created_at"],
        item.get("uploader_id"),
        item.get("comment_id"),
        item.get("internal", False),
        item.get("via"),
    )


def history_key(ticket_id: str, position: int) -> Key:
    """Where a line of history lies."""
    return f"T#{ticket_id}", f"H#{position:018d}"


def event_item(event: Event, position: int, *, provisional: bool) -> Item:
    """A line of history. A provisional one counts only if its block names it (see `events`)."""
    pk, sk = history_key(event.ticket_id, position)
    return {
        "pk": pk,
        "sk": sk,
        "id": event.id,
        "at": event.at,
        "actor": event.actor,
        "role": event.role,
        "kind": event.kind,
        "changes": _text(event.changes),
        "internal": event.internal,
        "provisional": provisional or None,
    }


def position_of(item: Item) -> int:
    """The position of a line of history."""
    return int(item["sk"][2:])


def event_of(item: Item) -> Event:
    """The line of an item."""
    changes = {field: (pair[0], pair[1]) for field, pair in json.loads(item["changes"]).items()}
    return Event(
        item["id"],
        item["pk"][2:],
        item["at"],
        item["actor"],
        item["role"],
        item["kind"],
        changes,
        item["internal"],
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
