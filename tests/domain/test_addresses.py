"""One normal form of addresses: however it is written, it is the same person, and two people are never one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from backend.domain.addresses import LONGEST, LONGEST_WRITTEN, is_address, normal, read, read_email
from backend.domain.values import Address

INVISIBLE = ("\u200b", "\ufeff", "\u00ad", "\u200e", "\u202a", "\u2066", "\u2060", "\u200d", "\ufe0f", "\u3164", "\x01")
LOCAL = st.from_regex(r"[a-z0-9]([a-z0-9._+&/=-]{0,12}[a-z0-9])?", fullmatch=True)
DOMAIN = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{0,8}){0,2}", fullmatch=True)
ADDRESSES = st.builds("{}@{}".format, LOCAL, DOMAIN)
NAMES = st.sampled_from(["", "Hans", "Muster, Hans", "Zoë O'Neil", "李 雷", "(work) x"])


@pytest.mark.parametrize(
    "written",
    [
        "Hans <hans@example.org>",
        '"Muster, Hans" <Hans@Example.ORG>',
        "mailto:hans@example.org?subject=Printer&body=x",
        "<mailto:HANS%40example.org>",
        "hans@example.org;",
        "hans@example.org,",
        "hans@example.org.",
        " hans@example.org\r\n",
        "(hans@example.org)",
        "[hans@example.org]",
        "'hans@example.org'",
        "„hans@example.org“",
        "Hans [mailto:hans@example.org]",
        "Hans Muster (hans@example.org)",
        "hans@example.org (Hans Muster)",
        "SMTP:hans@example.org",
        "hans＠ｅｘａｍｐｌｅ．org",
        '"boss@example.org" <hans@example.org>',
    ],
)
def test_display_forms_are_the_address(written: str) -> None:
    assert normal(written) == read(written) == read_email(written) == "hans@example.org"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("hans@BÜCHER.de", "hans@xn--bcher-kva.de"),
        ("hans@xn--BCHER-kva.de", "hans@xn--bcher-kva.de"),
        ("hans@straße.de", "hans@xn--strae-oqa.de"),  # not strasse.de, which is somebody else's
        ("hans@☃.net", "hans@xn--n3h.net"),
        ("Jo\u0301@x.org", "jó@x.org"),
        ("J.O+tag@x.org", "j.o+tag@x.org"),
        ("O'Neil@x.ie", "o'neil@x.ie"),
        ("token:01kbx5z9n0qw3e4r5t6y7v8a9b", "token:01KBX5Z9N0QW3E4R5T6Y7V8A9B"),
        ("  Front   desk\u200b ", "Front desk"),
        ("Ada", "Ada"),
        ("", ""),
    ],
)
def test_what_it_is_kept_as(written: str, kept: str) -> None:
    assert normal(written) == kept


@given(st.text(max_size=60) | st.text(alphabet="aß@.<>()[]\"';, :%ÜIİ\u0345\u1fef\u037e\u200b٣☃。-", max_size=30))
def test_normal_form_is_its_own(text: str) -> None:
    once = normal(text)
    assert normal(once) == once
    assert once == unicodedata.normalize("NFC", once)
    assert not is_address(once) or once.partition("@")[2].isascii()


@given(ADDRESSES, NAMES, st.sampled_from(["{}", "{} ;", "<{}>", "({})", "mailto:{}?cc=x", "\u202a{}\u202c"]), st.data())
def test_spellings_of_one_address_are_one(address: str, name: str, form: str, data: st.DataObject) -> None:
    written = "".join(data.draw(st.sampled_from([one, one.upper()])) for one in address)
    place = data.draw(st.integers(0, len(written)))
    written = written[:place] + data.draw(st.sampled_from(INVISIBLE)) + written[place:]
    written = f'"{name}" <{written}>' if name else form.format(written)
    assert normal(written) == address
    assert normal(unicodedata.normalize("NFD", written)) == address


@given(ADDRESSES, ADDRESSES)
def test_two_addresses_are_two(one: str, other: str) -> None:
    assert (normal(one) == normal(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a@x.org, b@x.org", "several"),
        ("Hans <a@x.org>; Mia <b@x.org>", "several"),
        ("grace@", "no e-mail address"),
        ("@x.org", "no e-mail address"),
        ("a" * 250 + "@x.org", str(LONGEST)),
        ("a" * 10_000 + "@x.org", str(LONGEST)),
        ("x" * (LONGEST_WRITTEN + 1), str(LONGEST)),
    ],
)
def test_what_names_nobody_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        read(text)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValidationError):
        TypeAdapter(Address).validate_python(text)


@pytest.mark.parametrize("text", ["Ada", "token:01KBX5Z9N0QW3E4R5T6Y7V8A9B", "", "admin"])
def test_a_token_has_an_address_or_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no e-mail address|blank"):
        read_email(text)
