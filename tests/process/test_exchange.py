"""Export, import and the import of a table, by the real process."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import TICKET, call, environment, running, wait_until

MODULE = [sys.executable, "-m", "backend"]


def told(root: Path, *words: str, stdin: bytes | None = None) -> tuple[int, bytes, str]:
    done = subprocess.run(
        [*MODULE, *words], cwd=root, env=environment(root), input=stdin, capture_output=True, timeout=60
    )
    text = done.stderr.decode()
    assert "Traceback" not in text
    return done.returncode, done.stdout, text


def test_moves_by_the_command_line_while_it_serves(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with running(old) as (_, port):
        for _ in range(3):
            call(port, "POST", "/api/tickets", TICKET)
        assert told(old, "export", str(tmp_path / "all.tar"))[0] == 0
        code, archive, text = told(old, "export", "-")
        assert code == 0 and "exported 3 tickets" in text
    code, _, checked = told(new, "import", "--check", "-", stdin=archive)
    assert code == 0 and checked.splitlines()[-1] == text.splitlines()[-1].replace("exported", "verified")
    assert not (new / "data").exists(), "a check touches nothing"
    code, _, text = told(new, "import", str(tmp_path / "all.tar"))
    assert code == 0 and "imported 3 tickets" in text
    assert "0 records were new" in told(new, "import", str(tmp_path / "all.tar"))[2]
    code, _, text = told(new, "import", "-", stdin=archive[:-2048])
    assert code == 65 and text.endswith("ticket-backend: The archive is cut off; send the whole of it.\n")
    code, _, text = told(new, "import", str(tmp_path / "nothing.tar"))
    assert code == 74 and "nothing.tar" in text
    with running(new) as (_, port):
        assert call(port, "POST", "/api/tickets", TICKET)[1]["number"] == 4


def test_table_survives_sigkill(tmp_path: Path) -> None:
    rows = "".join(f"ticket {n},{'low' if n % 10 else 'no'}\n" for n in range(4_000))
    (tmp_path / "t.csv").write_text("t,s\n" + rows)
    mapping = json.dumps({"columns": {"t": "title", "s": "severity"}})
    location = ""

    def state(port: int) -> dict:
        with suppress(OSError):
            return call(port, "GET", location)[1]
        return {"state": "unknown", "tickets_made": 0}

    with running(tmp_path) as (process, port):
        url = f"http://127.0.0.1:{port}/api/imports"
        form = [
            "-F",
            f"mapping={mapping}",
            "-F",
            f"file=@{tmp_path}/t.csv",
            "-H",
            f"Authorization: Bearer {ADMIN_TOKEN}",
        ]
        answer = subprocess.run(["curl", "-s", *form, url], capture_output=True, check=True).stdout
        location = f"/api/imports/{json.loads(answer)['id']}"
        wait_until(lambda: call(port, "GET", "/api/tickets")[1]["items"] != [])
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with running(tmp_path) as (_, port):
        wait_until(lambda: state(port)["state"] == "done", 90)
        found = state(port)
        assert (found["tickets_made"], found["rows_refused"], found["rows_read"]) == (3_600, 400, 4_000)
        titles: list[str] = []
        cursor = ""
        while cursor is not None:
            page = call(port, "GET", f"/api/tickets?sort=number&limit=200{cursor and '&cursor=' + cursor}")[1]
            titles += [one["title"] for one in page["items"]]
            cursor = page["next_cursor"]
        assert titles == [f"ticket {n}" for n in range(4_000) if n % 10]
