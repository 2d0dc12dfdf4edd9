"""A token file that is replaced while the process runs."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.adapters.embedded import admin_token
from backend.domain.access import hash_secret
from backend.settings import load_settings
from backend.wiring import wire

OLD, NEW = "b7" * 10 + "0123456789abcdef", "c9" * 10 + "fedcba9876543210"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the time pass after which a process looks again."""
    passed = [1_000.0]
    monkeypatch.setattr(admin_token.time, "monotonic", lambda: passed[0])

    def pass_time() -> None:
        passed[0] += admin_token.RECHECK_SECONDS

    return pass_time


def hash_of(tmp_path: Path, **more: str) -> Callable[[], str]:
    directories = {name: str(tmp_path / name) for name in ("DATA_DIR", "UPLOAD_DIR", "MEMORY_DIR")}
    return wire(load_settings(directories | more, tmp_path / "secrets")).admin_hash


@pytest.mark.parametrize("source", ["ADMIN_TOKEN_FILE", "secrets"])
def test_file_that_is_replaced_counts(tmp_path: Path, later: Callable[[], None], source: str) -> None:
    path = tmp_path / "secrets" / "admin_token"
    path.parent.mkdir()
    path.write_text(f"{OLD}\n")
    named = {"ADMIN_TOKEN_FILE": str(path)} if source == "ADMIN_TOKEN_FILE" else {}
    admin_hash = hash_of(tmp_path, ENVIRONMENT="production", **named)
    assert admin_hash() == hash_secret(OLD)
    beside = tmp_path / "beside"
    beside.write_text(f"{NEW}\n")
    beside.replace(path)
    assert admin_hash() == hash_secret(OLD), "it does not look with every request"
    later()
    assert admin_hash() == hash_secret(NEW)
    path.write_text(OLD)
    later()
    assert admin_hash() == hash_secret(OLD), "in place, too"


@pytest.mark.parametrize("bad", ["", "changeme", "two words of it, long enough", None])
def test_what_can_not_be_used_changes_nothing_and_is_told_once(
    tmp_path: Path, later: Callable[[], None], caplog: pytest.LogCaptureFixture, bad: str | None
) -> None:
    path = tmp_path / "token"
    path.write_text(OLD)
    admin_hash = hash_of(tmp_path, ENVIRONMENT="production", ADMIN_TOKEN_FILE=str(path))
    assert admin_hash() == hash_secret(OLD)
    if bad is None:
        path.unlink()
    else:
        path.write_text(bad)
    with caplog.at_level(logging.ERROR, "backend"):
        for _ in range(3):
            later()
            assert admin_hash() == hash_secret(OLD)
    assert len(caplog.records) == 1 and "can't be used" in caplog.text and (not bad or bad not in caplog.text)
    path.write_text(NEW)
    later()
    assert admin_hash() == hash_secret(NEW), "mended"


def test_variable_is_no_file(tmp_path: Path, later: Callable[[], None]) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin_token").write_text(NEW)
    admin_hash = hash_of(tmp_path, ADMIN_TOKEN=OLD)
    assert admin_hash() == hash_secret(OLD)
    later()
    assert admin_hash() == hash_secret(OLD)


def test_token_that_development_made_may_be_replaced(tmp_path: Path, later: Callable[[], None]) -> None:
    admin_hash = hash_of(tmp_path)
    made = admin_hash()
    path = tmp_path / "DATA_DIR" / "admin-token"
    assert made == hash_secret(path.read_text().strip())
    path.write_text(NEW)
    later()
    assert admin_hash() == hash_secret(NEW)
