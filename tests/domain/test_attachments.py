"""File names and types: rules that hold for any name and any content."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.attachments import LONGEST_NAME_BYTES, SNIFFED_BYTES, clean_name, content_type, sniff
from backend.errors import UnsupportedType


@given(st.text(max_size=400) | st.none())
def test_name_is_short_visible_and_no_path(name: str | None) -> None:
    cleaned = clean_name(name)
    assert cleaned and len(cleaned.encode()) <= LONGEST_NAME_BYTES
    assert not set(cleaned) & set("/\\") and cleaned not in (".", "..")
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in cleaned)
    assert clean_name(cleaned) == cleaned


@given(st.text(alphabet="aé😀", min_size=300, max_size=400))
def test_shortened_name_keeps_its_ending(stem: str) -> None:
    assert clean_name(f"{stem}.tar.gz").endswith(".gz")


@given(st.binary(max_size=600), st.text(max_size=60) | st.sampled_from(["image/png", "text/plain", "text/html"]))
def test_markup_is_never_called_something_that_is_shown(content: bytes, claim: str) -> None:
    for markup in (b"<html>", b"<!doctype html>", b" \n<script>", b"<svg ", b"<?xml version='1.0'?><svg>"):
        try:
            kind = content_type(markup + content, claim)
        except UnsupportedType:
            continue
        assert kind in ("text/html", "image/svg+xml", "application/octet-stream")


@given(st.binary(max_size=600))
def test_any_content_has_a_type(content: bytes) -> None:
    assert content_type(content, None) == sniff(content)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "application/octet-stream"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"BM is how this sentence begins", "text/plain"),
        ("Grüße ".encode() * 100, "text/plain"),
        ("Grüße".encode()[:3], "text/plain"),
        ("Grüße".encode("utf-16"), "text/plain"),
        ("Grüße".encode("latin-1") + b" and more of it", "application/octet-stream"),
    ],
)
def test_sniffs(head: bytes, kind: str) -> None:
    assert sniff(head) == kind


@pytest.mark.parametrize("piece", [b"<!---->", b"<!-- -->\n", b"<?xml?>", b"<!--", b" "])
def test_sniffs_at_once_whatever_is_repeated(piece: bytes) -> None:
    repeated = piece * (SNIFFED_BYTES // len(piece))
    assert sniff(repeated) == "text/plain"
    assert sniff(repeated[:500] + b"<svg") in ("text/plain", "image/svg+xml")


def test_sees_markup_behind_many_comments() -> None:
    assert sniff(b"<!-- a --> \n<!---->" * 20 + b"<svg>") == "image/svg+xml"
