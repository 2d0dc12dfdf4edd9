"""What a file is by its content, how it is handed out, and which kinds an administrator forbids.

A type that a sender claims is never a reason to refuse: the content decides, and a claim only adds what the content
can't show (that a text is CSV, that a ZIP is a Java archive).
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator, Mapping

from backend.errors import UnsupportedType

SNIFFED_BYTES = 4096
UNKNOWN_TYPE = "application/octet-stream"
TEXT = "text/plain"

_EXECUTABLE = "application/x-msdownload"
_ZIP = "application/zip"
_OLE = "application/x-ole-storage"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

# (offset, magic bytes, type), from the formats' own specifications; the first that fits.
_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),
    (0, b"MM\0+", "image/tiff"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS", "application/postscript"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"PK\x03\x04", _ZIP),
    (0, b"PK\x05\x06", _ZIP),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (4, b"1AY&SY", "application/x-bzip2"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (4, b"moov", "video/quicktime"),
    (4, b"mdat", "video/quicktime"),
    (4, b"wide", "video/quicktime"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xfe\xed\xfa", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\0asm", "application/wasm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
)
# Such words begin a text as well.
_WORDS = frozenset({b"8BPS", b"ustar", b"moov", b"mdat", b"wide", b"OggS", b"fLaC", b"ID3", b"wOFF", b"wOF2"})
# Of a media file of ISO 14496-12, by the brands that it says to be readable as.
_BRANDS = (
    (("avif", "avis"), "image/avif"),
    (("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"), "image/heic"),
    (("mif1", "msf1"), "image/heif"),
    (("qt  ",), "video/quicktime"),
    (("M4A ", "M4B ", "M4P "), "audio/mp4"),
    (("crx ",), "image/x-canon-cr3"),
)
# What has been matched is never given back: comments could be divided in more ways than there is time to try.
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+|(?><!--.*?-->)\s*+)*+<(!doctype\s+html|html|head|body|script|iframe|svg)",
    re.IGNORECASE | re.DOTALL,
)
# Content → what else it may be called.
_ALSO: Mapping[str, re.Pattern[str]] = {
    _ZIP: re.compile(
        r"application/(?:java-archive|vnd\.(?:openxmlformats-officedocument|oasis|ms-|android|google-earth)\S*|\S+\+zip)"
    ),
    _WORD: re.compile(r"application/vnd\.(?:openxmlformats-officedocument\.wordprocessingml|ms-word)\.\S+"),
    _EXCEL: re.compile(r"application/vnd\.(?:openxmlformats-officedocument\.spreadsheetml|ms-excel)\.\S+"),
    _POWERPOINT: re.compile(r"application/vnd\.(?:openxmlformats-officedocument\.presentationml|ms-powerpoint)\.\S+"),
    _OLE: re.compile(r"application/(?:msword|vnd\.ms-[^.\s]+|vnd\.visio|x-msi)"),
    "application/gzip": re.compile(r"application/(?:x-compressed-tar|x-tgz|x-gtar-compressed|tar\+gzip)"),
    "application/ogg": re.compile(r"(?:audio|video)/(?:ogg|opus)"),
    "video/mp4": re.compile(r"(?:audio|video)/(?:mp4|x-m4[av]|3gpp2?)"),
    "video/x-ms-asf": re.compile(r"(?:audio|video)/x-ms-wm[av]"),
    "video/webm": re.compile(r"audio/webm"),
    "image/tiff": re.compile(r"image/x-\S+"),
    TEXT: re.compile(
        r"text/(?!html$|plain$)\S+|message/rfc822|\S+\+(?:json|(?<!svg\+)(?<!xhtml\+)xml)|application/(?:json|xml|yaml|"
        r"x-yaml|x-ndjson|jsonl|javascript|x-javascript|ecmascript|sql|x-sql|x-sh|x-powershell|toml|x-subrip|pem\S*)"
    ),
}
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_KEPT = re.compile(_TYPE.pattern + r"(?:; charset=[a-z0-9_-]{1,40})?")

# Shown in the page of the browser; everything else is handed out as a download.
SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf", TEXT})
# What a browser would run in a page, as a script, module or style: every name that the MIME Sniffing Standard gives
# JavaScript has one of these words in it.
_RUNS = re.compile(r"script|css|xsl|wasm|htc|x-component")

_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CONTROLS_IN_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# In Windows-1252 five bytes mean nothing; and no language that is written in it has four letters beyond ASCII in a row,
# unless somebody lists them (`äöüß`): other charsets have other bytes there soon.
_LISTED = "äöüßÄÖÜéèêëáàâçñåæøíóôúû€…„“”‘’–—•«»°·§ ".encode("windows-1252")
_NOT_WESTERN = re.compile(
    rb"[\x81\x8d\x8f\x90\x9d]|(?=[\x80-\xff]{4})[%(listed)s]{0,3}[^\x00-\x7f%(listed)s]" % {b"listed": _LISTED}
)


class TextJudge:
    """Told a content piece by piece, it knows whether that is text and in which charset, however the pieces are cut."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._utf8 = self._western = True
        self._beyond_ascii = False

    def take(self, chunk: bytes) -> None:
        """The next piece."""
        if self._decoder is None:
            self._head += chunk
            if len(self._head) < len(codecs.BOM_UTF16_LE):
                return
            chunk = self._head
            marked = chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            self._decoder = codecs.getincrementaldecoder("utf-16" if marked else "utf-8")()
            self._utf16 = marked
        if self._utf16:
            self._take_utf16(chunk)
        elif self._utf8 or self._western:
            self._take(chunk)

    def _take_utf16(self, chunk: bytes) -> None:
        if not self._utf8:
            return
        assert self._decoder is not None
        try:
            self._utf8 = not _CONTROLS_IN_TEXT.search(self._decoder.decode(chunk))
        except UnicodeDecodeError:
            self._utf8 = False

    def _take(self, chunk: bytes) -> None:
        if _CONTROLS.search(chunk):
            self._utf8 = self._western = False
            return
        if chunk.isascii() and not self._tail:
            return
        joined = self._tail + chunk
        self._western = self._western and not _NOT_WESTERN.search(joined)
        self._tail = joined[-3:] if self._western and not joined[-3:].isascii() else b""
        if self._utf8:
            self._utf8 = self._goes_on(chunk)

    def _goes_on(self, chunk: bytes) -> bool:
        assert self._decoder is not None
        try:
            self._beyond_ascii |= not self._decoder.decode(chunk).isascii()
        except UnicodeDecodeError as problem:
            known = problem.object[: problem.start].isascii() and not self._beyond_ascii
            self._western = self._western and known  # it was UTF-8 up to here: not to be told
            return False
        return True

    @property
    def _is_cut(self) -> bool:
        """Whether it ends in the middle of a character, if it is UTF-8."""
        return self._decoder is not None and bool(self._decoder.getstate()[0])

    @property
    def charset(self) -> str | None:
        """The charset; None where it is no text, or nobody could say in which one."""
        if self._decoder is None and _CONTROLS.search(self._head):
            return None
        if self._decoder is not None and self._utf16:
            return "utf-16" if self._utf8 else None
        if self._utf8 and not (self._western and self._is_cut and not self._beyond_ascii):
            return "utf-8"
        return "windows-1252" if self._western else None


def sniff(head: bytes, charset: str | None) -> str:
    """The type that the first bytes show; `charset` is that of the whole content, if it is text."""
    kind = _by_magic(head, charset)
    if kind:
        return kind
    if charset is None and head.startswith(b"MZ"):
        return _EXECUTABLE
    if charset is None and head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    markup = _MARKUP.match(head)
    if markup:
        return "image/svg+xml" if markup[1].lower() == b"svg" else "text/html"
    return TEXT if charset and head else UNKNOWN_TYPE


def _by_magic(head: bytes, charset: str | None) -> str | None:
    if head[4:8] == b"ftyp":
        return _media_type(head)
    if head.startswith(b"RIFF"):
        forms = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
        return forms.get(head[8:12], UNKNOWN_TYPE)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset) and not (charset and magic in _WORDS):
            return _zip_type(head) if kind == _ZIP else kind
    return None


def _media_type(head: bytes) -> str:
    length = max(16, min(int.from_bytes(head[:4], "big"), 256))
    brands = [head[at : at + 4].decode("latin-1") for at in (8, *range(16, length, 4))]
    for brand in brands:  # the main one first, then what it is compatible with
        if brand == "mif1" and any(one in ("heic", "heix", "avif") for one in brands):
            continue
        for known, kind in _BRANDS:
            if brand in known:
                return kind
        if brand == brands[0] and brand not in ("mif1", "msf1"):
            break
    return "video/mp4"


def _zip_type(head: bytes) -> str:
    """The kind of ZIP, by the names of its first entries."""
    declared = re.match(rb"PK\x03\x04.{22}\x08\0..mimetype(application/[a-z0-9.+-]+)", head, re.DOTALL)
    if declared:
        return declared[1].decode("ascii")
    first = head[30:60]
    if first.startswith((b"[Content_Types].xml", b"_rels/", b"docProps/", b"word/", b"xl/", b"ppt/", b"customXml/")):
        for folder, kind in ((b"word/", _WORD), (b"xl/", _EXCEL), (b"ppt/", _POWERPOINT)):
            if folder in head:
                return kind
    return "application/java-archive" if first.startswith(b"META-INF/") else _ZIP


def content_type(head: bytes, charset: str | None, claimed: str | None) -> str:
    """The type to keep: what the content shows, or a claim that goes with it and says more.

    A text that is not UTF-8 names its charset.
    """
    found = sniff(head, charset)
    claim = _claim(claimed)
    if not head and (claim == TEXT or _ALSO[TEXT].fullmatch(claim)):
        found = TEXT  # an empty file is whatever it is called
    also = _ALSO.get(found)
    kind = claim if also and _TYPE.fullmatch(claim) and also.fullmatch(claim) else found
    if found == TEXT and head and charset not in (None, "utf-8"):
        return f"{kind if kind.startswith('text/') else TEXT}; charset={charset}"
    return kind


def _claim(claimed: str | None) -> str:
    return (claimed or "").split(";")[0].strip().lower()


def without_charset(kept: str) -> str:
    """A type that was kept, without its parameter."""
    return kept.partition(";")[0]


def is_shown(kept: str) -> bool:
    """Whether a browser may show it in a page of ours."""
    return _KEPT.fullmatch(kept) is not None and without_charset(kept) in SHOWN_INLINE


def served_type(kept: str) -> str:
    """The type to answer with: what a page could run as script or style is bytes, and text says its charset."""
    if not _KEPT.fullmatch(kept) or _RUNS.search(without_charset(kept)):
        return UNKNOWN_TYPE
    return f"{kept}; charset=utf-8" if kept.startswith("text/") and ";" not in kept else kept


# What an ending stands for where contents are looked at, too.
_BY_ENDING: Mapping[str, str] = {
    **dict.fromkeys(("exe", "dll", "scr", "com", "cpl", "ocx", "sys", "efi", "pif"), _EXECUTABLE),
    **dict.fromkeys(("jpg", "jpeg", "jpe"), "image/jpeg"),
    **dict.fromkeys(("tif", "tiff"), "image/tiff"),
    **dict.fromkeys(("htm", "html"), "text/html"),
    **dict.fromkeys(("js", "mjs", "cjs"), "text/javascript"),
    **dict.fromkeys(("gz", "tgz"), "application/gzip"),
    **dict.fromkeys(("doc", "xls", "ppt", "msi", "msg"), _OLE),
    **dict.fromkeys(("jar", "war"), "application/java-archive"),
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "pdf": "application/pdf",
    "ps": "application/postscript",
    "rtf": "application/rtf",
    "zip": _ZIP,
    "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar",
    "tar": "application/x-tar",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "docx": _WORD,
    "xlsx": _EXCEL,
    "pptx": _POWERPOINT,
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "elf": "application/x-executable",
    "class": "application/java-vm",
    "wasm": "application/wasm",
    "css": "text/css",
    "csv": "text/csv",
}
_SAME = {
    "application/vnd.microsoft.portable-executable": _EXECUTABLE,
    "application/x-dosexec": _EXECUTABLE,
    "application/x-msdos-program": _EXECUTABLE,
    "application/javascript": "text/javascript",
    "application/x-javascript": "text/javascript",
    "application/x-zip-compressed": _ZIP,
    "application/x-gzip": "application/gzip",
    "image/jpg": "image/jpeg",
}


class ForbiddenTypes:
    """What an administrator forbids: endings of names (`exe`), types (`application/zip`), families (`video/*`)."""

    def __init__(self, rules: tuple[str, ...]) -> None:
        self._rules = rules

    def must_allow(self, name: str, kept: str | None = None) -> None:
        """Raises UnsupportedType, which names the file and the rule. Without `kept` only the name is looked at."""
        rule = self._against(_as_windows_reads(name), kept)
        if rule:
            raise UnsupportedType(f"The file {name} can't be attached: the administrator forbids {rule} files.")

    def _against(self, name: str, kept: str | None) -> str | None:
        kinds = set(_kinds(name, kept)) if self._rules else set()
        for rule in self._rules:
            if "/" not in rule:
                if name.endswith("." + rule) or _BY_ENDING.get(rule, "") in (kinds if kept else ()):
                    return f".{rule}"
            elif any(
                kind.startswith(rule[:-1]) if rule.endswith("/*") else kind == _SAME.get(rule, rule) for kind in kinds
            ):
                return rule
        return None


def _kinds(name: str, kept: str | None) -> Iterator[str]:
    if kept:
        kind = without_charset(kept)
        yield _SAME.get(kind, kind)
    by_name = _BY_ENDING.get(name.rpartition(".")[2]) if "." in name else None
    if by_name:
        yield by_name


def _as_windows_reads(name: str) -> str:
    """Without what is not seen, what stands for the same, and the dots and spaces that Windows drops at the end."""
    seen = "".join(char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char)[0] != "C")
    return seen.casefold().rstrip(". \u3000").removesuffix("::$data")
