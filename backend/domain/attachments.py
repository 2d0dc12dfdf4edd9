"""Attachments: what a file is by its content, what it may be called, and when it may be shown in a browser."""

import re
import unicodedata
from dataclasses import dataclass

from backend.domain.values import Instant
from backend.errors import UnsupportedType

MOST_FILES_A_REQUEST = 20
LONGEST_NAME_BYTES = 255
SNIFFED_BYTES = 512
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a ticket. `key` is where the bytes lie; `name` is the sender's and never a path."""

    id: str
    ticket_id: str
    key: str
    name: str
    content_type: str
    size: int
    sha256: str
    uploader: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes that a store has taken: their key, size, SHA-256 (hex) and first bytes."""

    key: str
    size: int
    sha256: str
    head: bytes


# (offset, magic bytes, type), from the formats' own specifications.
_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (0, b"BM", "image/bmp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"\x7fELF", "application/x-executable"),
)
_RECOGNISED = frozenset(kind for _, _, kind in _MAGIC)
# What has been matched is never given back: comments could be divided in more ways than there is time to try.
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+|(?><!--.*?-->)\s*+)*+<(!doctype\s+html|html|head|body|script|iframe|svg)",
    re.IGNORECASE | re.DOTALL,
)
_ALSO_ZIP = re.compile(
    r"application/(?:x-zip-compressed|java-archive|epub\+zip|vnd\.(?:openxmlformats-officedocument|oasis|ms-)\S*)"
)
_ALSO_OLE = re.compile(r"application/(?:msword|vnd\.ms-\S*|x-msi)")
_ALSO_TEXT = re.compile(r"application/(?:json|xml|yaml|x-yaml|x-ndjson|javascript|sql|x-sh|toml)|\S+\+(?:json|xml)")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")

# Shown in the page of the browser; everything else is handed out as a download.
SHOWN_INLINE = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf", "text/plain"}
)


def sniff(head: bytes) -> str:
    """The type that the first bytes show."""
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            if kind == "image/webp" and not head.startswith(b"RIFF"):
                continue
            if kind == "image/bmp" and len(head) >= 14 and head[6:10] != b"\0\0\0\0":
                continue
            return kind
    markup = _MARKUP.match(head)
    if markup:
        return "image/svg+xml" if markup[1].lower() == b"svg" else "text/html"
    return "text/plain" if _is_text(head) else UNKNOWN_TYPE


def _is_text(head: bytes) -> bool:
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") and len(head) % 2 == 0
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as problem:
        return problem.start > len(head) - 4  # a character that the cut went through
    return True


def content_type(head: bytes, claimed: str | None) -> str:
    """The type to keep: what the content shows, or a claim that goes with it and says more.

    Raises UnsupportedType where the claim and the content contradict each other.
    """
    found = sniff(head)
    claim = (claimed or "").split(";")[0].strip().lower()
    if claim in ("", UNKNOWN_TYPE, "binary/octet-stream", found) or not _TYPE.fullmatch(claim):
        return found
    if found == "application/zip" and _ALSO_ZIP.fullmatch(claim):
        return claim
    if found == "application/x-ole-storage" and _ALSO_OLE.fullmatch(claim):
        return claim
    if _says_text(claim):
        if found in ("text/html", "image/svg+xml", "text/plain"):
            return _kept_text(claim, found)
        raise UnsupportedType(f"The file claims to be {claim}, but its content is {found}.")
    if claim in _RECOGNISED or claim.startswith(("image/", "video/mp4")) or found in _RECOGNISED:
        raise UnsupportedType(f"The file claims to be {claim}, but its content is {found}.")
    if found in ("text/html", "image/svg+xml"):
        raise UnsupportedType(f"The file claims to be {claim}, but its content is {found}.")
    return UNKNOWN_TYPE if found == UNKNOWN_TYPE else found


def _says_text(claim: str) -> bool:
    return claim.startswith("text/") or claim == "image/svg+xml" or _ALSO_TEXT.fullmatch(claim) is not None


def _kept_text(claim: str, found: str) -> str:
    """Plain text may be called by its kind; markup keeps its own name, so that it is never shown inline."""
    if found == "text/plain":
        return claim if claim not in ("text/html", "image/svg+xml", "application/xhtml+xml") else found
    return found


def clean_name(name: str | None) -> str:
    """A name to show: without folders and control characters, at most 255 bytes, the ending kept."""
    base = re.split(r"[/\\]", name or "")[-1]
    visible = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    tidy = visible.strip(" .") or "file"
    return _shortened(tidy, LONGEST_NAME_BYTES)


def _shortened(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 16:
        stem, ending = name, ""
    tail = dot + ending if ending else ""
    return stem.encode()[: limit - len(tail.encode())].decode("utf-8", "ignore") + tail
