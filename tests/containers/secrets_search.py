"""Secrets that nobody else would write, and everything in which they must not be found."""

import io
import secrets
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field


def _made(kind: str) -> str:
    return f"planted-{kind}-{secrets.token_hex(12)}"


@dataclass
class Planted:
    """One of each kind."""

    admin_token: str = field(default_factory=lambda: _made("admin"))
    aws_access_key_id: str = field(default_factory=lambda: _made("key"))
    aws_secret_access_key: str = field(default_factory=lambda: _made("aws"))
    aws_session_token: str = field(default_factory=lambda: _made("session"))

    def files(self) -> dict[str, str]:
        """Name of the file in /run/secrets → secret."""
        return dict(vars(self))


def assert_absent(hidden: Iterable[str], where: dict[str, bytes | str]) -> None:
    """None of them in any of these, neither as they are nor in one of the ways that bytes are written down."""
    for name, content in where.items():
        data = content if isinstance(content, bytes) else content.encode()
        for secret in hidden:
            for form in (secret, secret.encode().hex()):
                assert form.encode() not in data, f"{secret} is in {name}"


def members(archive: bytes) -> dict[str, bytes]:
    """Every file of a tar, and of the tars in it: an image has one for each layer."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
        for member in stream:
            handle = stream.extractfile(member) if member.isfile() else None
            if handle is not None:
                found[member.name] = handle.read()
    for name, content in list(found.items()):
        is_layer = name.endswith(".tar") or name.startswith("blobs/")
        if is_layer and tarfile.is_tarfile(io.BytesIO(content)):
            found |= {f"{name}/{inner}": data for inner, data in members(content).items()}
    return found
