"""Who is meant by what people write: the one normal form in which addresses are compared.

Two spellings of an address are one person: `Hans <Hans@Example.org>;` is `hans@example.org`. The local part is folded
although RFC 5321 lets a server tell cases apart, since none in use does; dots and what follows a plus stay, since
servers do tell those apart. A domain follows IDNA 2008 (RFC 5891, UTS 46 without its transitional mapping): the rules
of 2003, which Python's own codec has, take `straße.de` for `strasse.de`, which belongs to somebody else.
"""

import re
import unicodedata
from urllib.parse import unquote

from backend.domain.text import clean_line

LONGEST = 254
"""Of an address: the path of RFC 5321 less its brackets."""
LONGEST_WRITTEN = 1_000
"""With a name and what else stands round it."""

TOKEN = "token:"  # noqa: S105
"""What stands before the id of a token without an address, where that is who is meant."""

_PART = r'[^\s@<>(),;:"\[\]\\]+'
_ADDRESS = re.compile(f"({_PART})@({_PART})")
_is_address = _ADDRESS.fullmatch
# `Hans <hans@…>`; `Hans (hans@…)` and `Hans [mailto:hans@…]` of Outlook; `hans@… (Hans)` of old mail programs.
_DISPLAYED = tuple(
    re.compile(form).fullmatch
    for form in (r"[^<>]*<([^<>]+)>[^<>@]*", r"[^@()]*\(([^()]+)\)", r"[^@\[\]]*\[([^\[\]]+)\]", r"([^()]+)\([^@()]*\)")
)
_ROUND = "\"'`´„“”‚‘’«»‹›()[]{}<>,; "
_SCHEME = re.compile(r"\s*(?:mailto|smtp):", re.IGNORECASE).match
_TOKEN = re.compile(r"token:[0-7][0-9a-hjkmnp-tv-z]{25}", re.IGNORECASE).fullmatch
_DOTS = re.compile("[.。．｡]")
_AT = {ord("＠"): "@", ord("﹫"): "@"}  # as keyboards for Chinese and Japanese write it
_MOST_LAYERS = 4
# Beside the format characters (Cf), what is drawn as nothing: Default_Ignorable_Code_Point of Unicode.
_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def normal(text: str) -> str:
    """What `text` is compared as, for any text: an address in its normal form, whatever stands round it; the id of a
    token; anything else as it is, less what nobody sees. The same again for what it gives."""
    tidy = _tidy(text)
    if _TOKEN(tidy):
        return TOKEN + tidy.removeprefix(tidy[: len(TOKEN)]).upper()
    return _address_in(tidy) or tidy


def is_address(text: str) -> bool:
    """Whether a normal form is an e-mail address."""
    return _address_in(text) == text


def read(text: str) -> str:
    """The normal form of what somebody writes where one person is to be named. Raises ValueError, in one line."""
    found = read_filter(text)
    if "@" in found and not is_address(found):
        if len(_ADDRESS.findall(found)) > 1:
            raise ValueError("names several addresses; write one")
        raise ValueError("is no e-mail address; write one such as grace@example.org")
    return found


def read_email(text: str) -> str:
    """The same where it must be an address."""
    found = read(text)
    if not is_address(found):
        raise ValueError("is no e-mail address; write one such as grace@example.org")
    return found


def read_filter(text: str) -> str:
    """The normal form of what is looked for, which may be half an address. Raises ValueError where it is too long."""
    found = normal(text) if len(text) <= LONGEST_WRITTEN else text
    if len(found) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    if not found:
        raise ValueError("must not be blank")
    return found


def _tidy(text: str) -> str:
    """Without what nobody sees, one blank for any space, composed (NFC)."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = "".join(_seen(character) for character in _IGNORED.sub("", clean_line(text)))
    return unicodedata.normalize("NFC", " ".join(seen.split())).translate(_AT)


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    return "" if kind == "Cf" or (kind == "Cc" and character != "\0") else character


def _address_in(text: str) -> str | None:
    """The address that the text is, in its normal form; None where it is no address."""
    for _ in range(_MOST_LAYERS):
        if "@" not in text and "%40" not in text:
            return None
        bare = text.strip(_ROUND).rstrip(".")
        address = _is_address(bare)
        if address:
            return _folded(address[1], address[2])
        if _SCHEME(bare):
            text = _tidy(unquote(bare.partition(":")[2].partition("?")[0]))
            continue
        displayed = next((found for form in _DISPLAYED if (found := form(text.strip(" ,;.")))), None)
        if displayed is None:
            return None
        text = displayed[1]
    return None


def _folded(local: str, domain: str) -> str | None:
    found = f"{_fold(local)}@{_domain(domain)}"
    return found if _is_address(found) and found.strip(_ROUND).rstrip(".") == found else None


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    for _ in range(_MOST_LAYERS):  # composing may leave something to fold, and the other way round
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
        if folded == text:
            break
        text = folded
    return text


def _domain(text: str) -> str:
    """As the name system has it: A-labels in lower case, without the last dot."""
    if text.isascii():
        return text.strip(".").lower()
    return ".".join(_label(label) for label in _DOTS.split(text)).strip(".")


def _label(label: str) -> str:
    if label.isascii():
        return label.lower()
    import idna  # its tables take longer to read than most processes ever need

    try:
        return idna.encode(label, uts46=True).decode("ascii").lower()
    except UnicodeError:  # no domain by the rules of 2008, such as ☃.net: by its letters
        folded = _fold(label)
        return folded if folded.isascii() else "xn--" + folded.encode("punycode").decode("ascii").lower()
