"""Backups that fail or are not taken: in /health, in /metrics and in the log, while requests are served as ever."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.adapters.embedded.backup_note import NOTE
from backend.main import create_app
from backend.settings import load_settings
from backend.web import health
from tests.conftest import ADMIN_TOKEN, Client, variables, with_database
from tests.process.test_process import environment


def back_up(live: Path, target: Path) -> int:
    """One, as the nightly container takes it."""
    words = [sys.executable, "-m", "backend", "backup", str(target)]
    return subprocess.run(words, cwd=live, env=environment(live), capture_output=True).returncode


def test_failed_and_overdue_backups_are_told_until_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
    live = with_database(tmp_path / "live")
    given = variables(live, BACKUP_HOURS="36")
    note = Path(given["DATA_DIR"]) / NOTE

    def long_ago(name: str) -> None:
        note.write_text(json.dumps({name: (datetime.now(UTC) - timedelta(hours=50)).isoformat()}))

    with Client(create_app(load_settings(given, Path("/nonexistent"))), ADMIN_TOKEN) as admin:

        def told() -> str | None:
            answer = admin.get("/health")
            port = answer.json()["ports"]["backups"]
            assert answer.status_code == admin.get("/health/ready").status_code == 200, "no request is refused for it"
            assert (answer.json()["status"], port["status"]) in (("ok", "ok"), ("degraded", "degraded"))
            up = f'port_up{{port="backups"}} {float(port["status"] == "ok")}'
            assert up in admin.get("/metrics").text
            reason: str | None = port.get("reason")
            return reason

        assert told() is None, "36 hours from the first start are not over"
        long_ago("since")
        assert told() == "there is no backup, and the first start was 50 hours ago, more than 36"
        assert back_up(live, tmp_path / "backups") == 0
        assert told() is None and note.stat().st_mode & 0o777 == 0o600
        long_ago("succeeded")
        assert told() == "the last backup succeeded 50 hours ago, more than 36"
        (tmp_path / "file").write_text("")
        assert back_up(live, tmp_path / "file" / "backups") != 0
        assert "the last backup failed: " in str(told())
        assert [one.getMessage() for one in caplog.records if "the last backup failed" in one.getMessage()]
        assert back_up(live, tmp_path / "backups") == 0
        assert told() is None
        note.write_text("{broken")
        assert "not known" in str(told())
