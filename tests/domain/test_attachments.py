"""File names and types: rules that hold for any name and any content."""

import codecs
import struct
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.attachments import LONGEST_NAME, LONGEST_NAME_BYTES, clean_name, name_on_disk
from backend.domain.file_types import (
    SHOWN_INLINE,
    SNIFFED_BYTES,
    ForbiddenTypes,
    TextJudge,
    content_type,
    is_shown,
    served_type,
    sniff,
)
from backend.errors import UnsupportedType

CLAIMS = st.text(max_size=60) | st.sampled_from(
    ["image/png", "text/plain", "text/html", "text/javascript", "text/css", "application/json", "application/zip"]
)
CHARSETS = st.sampled_from([None, "utf-8", "utf-16", "windows-1252"])


def charset_of(content: bytes, size: int = 1_000_000) -> str | None:
    judge = TextJudge()
    for start in range(0, len(content), size):
        judge.take(content[start : start + size])
    return judge.charset


def kept(content: bytes, claim: str | None = None) -> str:
    return content_type(content[:SNIFFED_BYTES], charset_of(content), claim)


@given(st.text(max_size=400) | st.none())
def test_name_is_short_and_no_path(name: str | None) -> None:
    cleaned = clean_name(name)
    assert cleaned and len(cleaned) <= LONGEST_NAME
    assert not set(cleaned) & set("/\\") and cleaned not in (".", "..")
    assert all(unicodedata.category(character) not in ("Cc", "Cs") for character in cleaned)
    assert clean_name(cleaned) == cleaned
    on_disk = name_on_disk(cleaned)
    assert on_disk and len(on_disk.encode()) <= LONGEST_NAME_BYTES
    assert not set(on_disk) & set("\u202a\u202e\u2066\u2069")


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".htaccess",
        "a.",
        "a...",
        " a b .txt ",
        'the "last" one.txt',
        "100%.txt",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
        "\u05e9\u05dc\u05d5\u05dd\u200f.txt",
        "U\u0308bersicht.docx",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
        "con",
        "a:b|c<d>e?f*.txt",
        "~$report.doc",
        "\u202egnp.exe",
        "\uf8ff.txt",
        "\u8868" * 251 + ".txt",
    ],
)
def test_name_stays_as_it_was(name: str) -> None:
    assert clean_name(name) == name


@given(st.text(alphabet="a\u00e9\U0001f600", min_size=300, max_size=400))
def test_shortened_name_keeps_its_ending(stem: str) -> None:
    assert clean_name(f"{stem}.tar.gz").endswith(".gz")
    assert name_on_disk(clean_name(f"{stem}.tar.gz")).endswith(".gz")


@given(st.binary(max_size=600), CHARSETS, CLAIMS)
def test_markup_is_never_called_something_that_is_shown(content: bytes, charset: str | None, claim: str) -> None:
    for markup in (b"<html>", b"<!doctype html>", b" \n<script>", b"<svg ", b"<?xml version='1.0'?><svg>"):
        assert content_type(markup + content, charset, claim) in ("text/html", "image/svg+xml")


@given(st.binary(max_size=600), CHARSETS, CLAIMS)
def test_no_claim_makes_a_browser_show_or_run_anything(content: bytes, charset: str | None, claim: str) -> None:
    kind = content_type(content, charset, claim)
    if content and is_shown(kind):
        assert kind.partition(";")[0] == sniff(content, charset) in SHOWN_INLINE
    served = served_type(kind)
    assert not any(word in served for word in ("script", "css", "xsl", "wasm"))
    assert served.isascii() and served.isprintable()


@pytest.mark.parametrize(
    "kind",
    [
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "text/jscript",
        "text/livescript",
        "text/css",
        "text/xsl",
        "application/xslt+xml",
        "application/wasm",
        "text/plain\r\nx: y",
        "nonsense",
    ],
)
def test_what_a_page_could_run_is_served_as_bytes(kind: str) -> None:
    assert served_type(kind) == "application/octet-stream" and not is_shown(kind)


@given(st.binary(max_size=600) | st.text(max_size=300).map(lambda text: text.encode()), st.integers(1, 9))
def test_charset_does_not_depend_on_the_pieces(content: bytes, size: int) -> None:
    assert charset_of(content, size) == charset_of(content)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=300))
def test_text_is_known_as_text(text: str) -> None:
    assert charset_of(text.encode()) in (("utf-8", "utf-16") if text[:1] == "\ufeff" else ("utf-8",))
    assert charset_of(text.encode("utf-16")) == "utf-16"
    assert charset_of(codecs.BOM_UTF16_BE + text.encode("utf-16-be")) == "utf-16"


@pytest.mark.parametrize(
    ("text", "charset", "found"),
    [
        ("Grüße aus Zürich", "windows-1252", "windows-1252"),
        ("Gr\u00f6\u00dfe: äöüß ÄÖÜ", "windows-1252", "windows-1252"),
        ("caf\u00e9 \u2013 na\u00efve \u201cquotes\u201d \u2026 5 \u20ac", "windows-1252", "windows-1252"),
        ("Sm\u00f8rrebr\u00f8d p\u00e5 \u00c6r\u00f8", "windows-1252", "windows-1252"),
        ("\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430?", "windows-1251", None),
        ("\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "shift_jis", None),
        ("\u4f60\u597d\uff0c\u4e16\u754c", "gbk", None),
        ("\u0394\u03b5\u03bd \u03bb\u03b5\u03b9\u03c4\u03bf\u03c5\u03c1\u03b3\u03b5\u03af", "windows-1253", None),
    ],
)
def test_charset_is_told_only_where_that_is_safe(text: str, charset: str, found: str | None) -> None:
    content = b"2026-11-30 13:05:00 ERROR " + text.encode(charset)
    assert charset_of(content) == found
    expected = f"text/plain; charset={found}" if found else "application/octet-stream"
    assert kept(content, "text/plain") == kept(content) == expected


def test_text_keeps_what_it_is_called_and_its_charset() -> None:
    assert kept("a;b\n1;ä\n".encode("utf-16"), "text/csv") == "text/csv; charset=utf-16"
    assert kept(b'{"a": "\xe4"}', "application/json") == "text/plain; charset=windows-1252"
    assert served_type("text/csv; charset=utf-16") == "text/csv; charset=utf-16"
    assert served_type("text/csv") == "text/csv; charset=utf-8"
    assert kept(b"x" * 5_000 + "ä".encode("windows-1252")) == "text/plain; charset=windows-1252", "looked at to its end"
    assert kept(b"", "text/csv") == "text/csv" and kept(b"", "image/png") == "application/octet-stream"


def zip_head(name: bytes, content: bytes = b"") -> bytes:
    return b"PK\x03\x04" + b"\0" * 22 + struct.pack("<HH", len(name), 0) + name + content


def media(*brands: bytes) -> bytes:
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:])


OOXML = "application/vnd.openxmlformats-officedocument."
WORD = f"{OOXML}wordprocessingml.document"


@pytest.mark.parametrize(
    ("head", "claim", "kind"),
    [
        (b"RIFF\0\0\0\0WEBPVP8 ", None, "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", None, "audio/wav"),
        (b"RIFF\0\0\0\0what", None, "application/octet-stream"),
        (media(b"isom"), None, "video/mp4"),
        (media(b"avif"), None, "image/avif"),
        (media(b"heic"), None, "image/heic"),
        (media(b"heix", b"mif1", b"heix"), "image/heic", "image/heic"),
        (media(b"mif1", b"mif1", b"heic"), "image/heic", "image/heic"),
        (media(b"mif1", b"mif1"), "image/heic", "image/heif"),
        (media(b"mif1", b"mif1", b"avif"), None, "image/avif"),
        (media(b"qt  "), "video/quicktime", "video/quicktime"),
        (media(b"M4A "), "audio/x-m4a", "audio/mp4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime", "video/quicktime"),
        (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "video/x-matroska", "video/x-matroska"),
        (b"\x1aE\xdf\xa3\x93B\x82\x84webm", "video/webm", "video/webm"),
        (b"II*\0\x08\0\0\0", "image/tiff", "image/tiff"),
        (b"MM\0*\0\0\0\x08", None, "image/tiff"),
        (b"\x1f\x8b\x08\0", "application/x-compressed-tar", "application/x-compressed-tar"),
        (b"\x1f\x8b\x08\0", "application/x-compressed", "application/gzip"),
        (b"\0" * 257 + b"ustar", "application/x-tar", "application/x-tar"),
        (b"MZ\x90\0\x03", "application/x-msdownload", "application/x-msdownload"),
        (b"MZ\x90\0\x03", "application/x-msdos-program", "application/x-msdownload"),
        (b"MZ and PZ are on holiday", "text/plain", "text/plain"),
        (b"ID3 tags are lost", "text/plain", "text/plain"),
        (b"ID3\x03\0\0", "audio/mpeg", "audio/mpeg"),
        (b"BM is how this sentence begins", None, "text/plain"),
        (b"BM\x36\0\0\0\0\0\0\0\x36\0", "image/bmp", "image/bmp"),
        (zip_head(b"[Content_Types].xml", b"..PK.._rels/.rels..word/document.xml"), "application/msword", WORD),
        (zip_head(b"_rels/.rels", b"..xl/workbook.xml"), None, f"{OOXML}spreadsheetml.sheet"),
        (zip_head(b"[Content_Types].xml"), WORD, WORD),
        (zip_head(b"[Content_Types].xml"), "application/msword", "application/zip"),
        (
            zip_head(b"mimetype", b"application/vnd.oasis.opendocument.text"),
            None,
            "application/vnd.oasis.opendocument.text",
        ),
        (zip_head(b"a.txt"), "application/java-archive", "application/java-archive"),
        (zip_head(b"a.txt"), "image/png", "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-outlook", "application/vnd.ms-outlook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", WORD, "application/x-ole-storage"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),
        (b"<html><table>", "application/vnd.ms-excel", "text/html"),
        (b"<?xml version='1.0'?><a/>", "application/atom+xml", "application/atom+xml"),
        (b"<?xml version='1.0'?><a/>", "image/svg+xml", "text/plain"),
        (b"alert(1)", "text/javascript", "text/javascript"),
        (b"hello", "text/html", "text/plain"),
        (b"hello", "application/pdf", "text/plain"),
        (b"\0\1\2\3", "image/png", "application/octet-stream"),
        ("Grüße ".encode() * 1000, None, "text/plain"),
        ("Grüße, Grüße".encode()[:-3], None, "text/plain"),
    ],
)
def test_the_content_decides(head: bytes, claim: str | None, kind: str) -> None:
    assert kept(head, claim) == kind


@pytest.mark.parametrize("piece", [b"<!---->", b"<!-- -->\n", b"<?xml?>", b"<!--", b" "])
def test_sniffs_at_once_whatever_is_repeated(piece: bytes) -> None:
    repeated = piece * (SNIFFED_BYTES // len(piece))
    assert sniff(repeated, "utf-8") == "text/plain"
    assert sniff(repeated[:4_000] + b"<svg", "utf-8") in ("text/plain", "image/svg+xml")


def test_sees_markup_behind_many_comments() -> None:
    assert sniff(b"<!-- a --> \n<!---->" * 20 + b"<svg>", "utf-8") == "image/svg+xml"


@pytest.mark.parametrize(
    ("rule", "name", "kind"),
    [
        ("exe", "setup.exe", "text/plain"),
        ("exe", "SETUP.EXE. ", "text/plain"),
        ("exe", "setup.\uff45xe", "text/plain"),
        ("exe", "setup.e\u200bxe", "text/plain"),
        ("exe", "setup.exe::$DATA", "text/plain"),
        ("exe", "holiday.png", "application/x-msdownload"),
        ("application/x-msdownload", "holiday.png", "application/x-msdownload"),
        ("application/vnd.microsoft.portable-executable", "holiday", "application/x-msdownload"),
        ("application/x-msdownload", "setup.exe", "text/plain"),
        ("video/*", "a", "video/x-matroska"),
        ("video/*", "a.mp4", "application/octet-stream"),
        ("tar.gz", "a.tar.gz", "application/gzip"),
        ("js", "a.txt", "text/javascript; charset=windows-1252"),
    ],
)
def test_forbidden_kinds_are_known_by_name_and_by_content(rule: str, name: str, kind: str) -> None:
    forbidden = ForbiddenTypes(("nothing", rule))
    with pytest.raises(UnsupportedType) as caught:
        forbidden.must_allow(name, kind)
    assert name in str(caught.value) and rule in str(caught.value)
    for other, allowed in pairwise(["exe.txt", "text/plain", "a.gz", "image/png", "exe", "text/plain"]):
        if "/" in allowed:
            forbidden.must_allow(other, allowed)
    ForbiddenTypes(()).must_allow(name, kind)
