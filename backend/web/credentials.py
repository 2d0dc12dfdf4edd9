"""What a request signs in with: a bearer token in its header, else a session in its cookie."""

import re
from urllib.parse import urlsplit

from fastapi import Request

from backend.errors import NotAllowed, NotSignedIn

COOKIE = "ticket_session"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_port_of = re.compile(r":([0-9]{1,5})$").search
_is_session = re.compile(r"ts_[A-Za-z0-9_-]{43}").fullmatch


def secret_of(request: Request) -> str:
    """The token or the session's secret. Raises NotSignedIn; NotAllowed where another site uses the cookie to write."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    session = session_of(request)
    if session is None:
        raise NotSignedIn("This call needs a token: send the header 'Authorization: Bearer <token>'.")
    if request.method not in _SAFE:
        must_be_same_origin(request)
    return session


def cookie_name(request: Request) -> str:
    """The session's cookie. The prefix keeps neighbouring hosts and plain http from planting one; it needs https.

    A browser keeps one set of cookies for all ports of a host, so the port, where its address has one, is in the name:
    signing in to another installation beside this one would end the session here.
    """
    port = _port_of(_plain(request.headers.get("host", "")))
    name = f"{COOKIE}_{port[1]}" if port else COOKIE
    return f"__Host-{name}" if is_https(request) else name


def is_https(request: Request) -> bool:
    """Whether the browser's own connection is encrypted; a trusted proxy tells (TRUSTED_PROXIES)."""
    return request.url.scheme == "https"


def session_of(request: Request) -> str | None:
    """The session's secret that the cookie holds; None without one, or where it can't be one.

    Several that differ are none at all: one of them was planted, perhaps by a neighbouring host, and it is not for
    the order of cookies to say whose session this is. Raises NotSignedIn then.
    """
    cookie = cookie_name(request)
    found = {
        value.strip()
        for header in request.headers.getlist("cookie")
        for name, equals, value in (pair.partition("=") for pair in header.split(";"))
        if equals and name.strip() == cookie
    }
    if len(found) > 1:
        raise NotSignedIn(f"There are several cookies {cookie}: remove this site's cookies and sign in again.")
    return next((value for value in found if _is_session(value)), None)


def must_be_same_origin(request: Request, *, proven: bool = True) -> None:
    """Raises NotAllowed where a browser says that another site sent the request.

    A browser sends Sec-Fetch-Site by https only, and Origin otherwise. With `proven`, one of them must be there.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site in ("same-origin", "none")  # none: typed, or from a bookmark
    else:
        sender = request.headers.get("origin") or request.headers.get("referer")
        same = _same_host(sender, request.headers.get("host", "")) if sender else not proven
    if not same:
        raise NotAllowed("Signed in by a cookie, only this site's own pages may write; a program sends a bearer token.")


def _same_host(sender: str, host: str) -> bool:
    """Whether the address `sender` lies on `host`. Not the scheme: a proxy in between may have changed it."""
    try:
        found = urlsplit(sender).netloc
    except ValueError:
        return False
    return bool(host) and _plain(found) == _plain(host)


def _plain(host: str) -> str:
    return host.lower().removesuffix(":80").removesuffix(":443")
