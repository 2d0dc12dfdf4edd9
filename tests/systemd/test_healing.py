"""What goes wrong by itself: killed, hung, blocked, crashing, misconfigured, the disk full. It heals, or says clearly why not."""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from tests.containers.engines import Backend, wait_until
from tests.systemd.service import (
    INSTALLER,
    SETTINGS,
    UNIT,
    api,
    drop_in,
    failed,
    journal,
    main_pid,
    run,
    started_again,
    state,
    systemctl,
    token,
)

TICKET = {"title": "Printer", "description": "Blank pages", "severity": "low", "category": "Hardware"}
# The application, and a signal that blocks its event loop for good: the handler runs on the loop's own thread.
BLOCKABLE = (
    "import signal,sys,time;signal.signal(signal.SIGUSR1,lambda *a:time.sleep(3600));"
    'from backend.__main__ import main;sys.exit(main(["serve"]))'
)
CHECK = ("podman", "exec", "ticket-backend", "python", "-I", "-S", "/app/backend/healthcheck.py")
KILLS = 50
FULL = "ticket-backend-test-full"


def measured(what: str, started: float, wanted: float) -> None:
    """Print how long it took, and fail where that is out of all proportion: the machine may be busy with other things."""
    seconds = time.monotonic() - started
    print(f"{what}: {seconds:.1f} s, wanted at most {wanted:g}")
    assert seconds <= 3 * wanted


def test_comes_back_when_it_is_killed(service: str) -> None:
    before = main_pid()
    started = time.monotonic()
    os.kill(before, signal.SIGKILL)
    started_again(before)
    measured("from SIGKILL to healthy", started, 5)


def test_comes_back_when_it_is_frozen(service: str) -> None:
    before = main_pid()
    started = time.monotonic()
    os.kill(before, signal.SIGSTOP)
    started_again(before, 90)
    measured("from SIGSTOP to healthy", started, 30)


def test_comes_back_when_its_event_loop_is_blocked(service: str) -> None:
    with drop_in(f"[Container]\nExec=python -c '{BLOCKABLE}'\n"):
        systemctl("restart", UNIT)
        run(*CHECK, "live")
        before = main_pid()
        started = time.monotonic()
        run("podman", "kill", "--signal", "USR1", "ticket-backend")
        for words in (CHECK, (*CHECK, "live")):
            assert "unhealthy: no answer" in run(*words, check=False)
        assert main_pid() == before, "blocked, not ended"
        started_again(before, 90)
        measured("from a blocked event loop to healthy", started, 30)
    systemctl("restart", UNIT)


def write_on(kept: list[str], stop: threading.Event, speaker: Backend) -> None:
    """File tickets for as long as it may, and note each that was acknowledged."""
    while not stop.is_set():
        with suppress(requests.RequestException):
            answer = speaker.session.post(f"{speaker.url}/api/tickets", json=TICKET, timeout=5)
            if answer.status_code == 201:
                kept.append(answer.json()["id"])
        time.sleep(0.05)  # four of them stay below the service's limit of requests a minute


@contextmanager
def writing(clients: int) -> Iterator[list[str]]:
    """Write load; the ids that were acknowledged so far."""
    kept: list[str] = []
    stop = threading.Event()
    speakers = [api() for _ in range(clients)]
    threads = [threading.Thread(target=write_on, args=(kept, stop, speaker)) for speaker in speakers]
    for thread in threads:
        thread.start()
    try:
        yield kept
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def all_ids() -> set[str]:
    """Of every ticket there is."""
    found: set[str] = set()
    cursor = ""
    while True:
        page = api().get(f"/api/tickets?limit=200{cursor}").json()
        found |= {ticket["id"] for ticket in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_nothing_acknowledged_is_lost_over_many_kills(service: str) -> None:
    started = time.monotonic()
    with drop_in("[Unit]\nStartLimitBurst=0\n"):
        with writing(4) as kept:
            for _ in range(KILLS):
                before, acknowledged = main_pid(), len(kept)
                wait_until(lambda seen=acknowledged: len(kept) > seen + 3, 30, "acknowledged writes")
                time.sleep(random.uniform(0, 0.05))
                os.kill(before, signal.SIGKILL)
                started_again(before)
        lost = set(kept) - all_ids()
        said = run("podman", "exec", "ticket-backend", "python", "-m", "backend", "doctor", "--checksums")
    systemctl("restart", UNIT)
    print(f"{KILLS} kills in {time.monotonic() - started:.0f} s: {len(kept)} writes acknowledged, {len(lost)} lost")
    assert not lost and "all is well" in said


def test_stop_lets_an_upload_finish_and_takes_no_new_request(service: str) -> None:
    answers: list[requests.Response] = []
    sent = threading.Event()
    upload = threading.Thread(target=lambda: answers.append(api().slow_upload(sent)))
    upload.start()
    sent.wait(10)
    started = time.monotonic()
    stopping = threading.Thread(target=systemctl, args=("stop", UNIT))
    stopping.start()
    wait_until(lambda: api().health() is None, 3, "no answer to new requests")
    assert not answers, "the upload is still on its way"
    upload.join()
    stopping.join()
    print(f"stopped {time.monotonic() - started:.1f} s after it was told to, an upload of 4 s in flight")
    assert [answer.status_code for answer in answers] == [201]
    assert (state("ActiveState"), state("Result")) == ("inactive", "success")
    systemctl("start", UNIT)
    (file,) = api().get(f"/api/tickets/{answers[0].json()['id']}/attachments").json()["items"]
    assert len(api().get(file["url"]).content) == 1_000_000


def test_bad_setting_ends_in_a_clear_state(service: str) -> None:
    good = SETTINGS.read_text()
    SETTINGS.write_text(good + "LOG_LEVEL=loud\n")
    try:
        systemctl("restart", UNIT, check=False)
        assert failed() == ("exit-code", "78")
        assert "ticket-backend: LOG_LEVEL must be one of" in journal(30)
    finally:
        SETTINGS.write_text(good)


@pytest.mark.parametrize("secret", ["changeme", "change-me-to-something-better"])
def test_token_that_is_guessed_ends_in_a_clear_state(service: str, secret: str) -> None:
    good = token()
    replace_token(secret)
    try:
        systemctl("restart", UNIT, check=False)
        assert failed() == ("exit-code", "78")
        assert "ticket-backend: ADMIN_TOKEN must be at least 16 characters that nobody guesses" in journal(30)
        assert secret not in journal(30)
    finally:
        replace_token(good)


def replace_token(secret: str) -> None:
    run("podman", "secret", "create", "--replace", "ticket-backend-admin-token", "-", input=secret)


def test_rotated_secret_is_used_after_a_restart(service: str) -> None:
    old, new = token(), "b7" * 10 + "0123456789abcdef"
    replace_token(new)
    systemctl("restart", UNIT)
    assert Backend(8000, new).get("/api/tickets").status_code == 200
    assert Backend(8000, old).get("/api/tickets").status_code == 401


def test_crash_loop_gives_up(service: str) -> None:
    with drop_in("[Container]\nExec=python -c 'raise SystemExit(1)'\n"):
        systemctl("restart", UNIT, check=False)
        result, _ = failed(120)
        assert result in ("exit-code", "protocol", "start-limit-hit")
        assert int(state("NRestarts")) <= int(state("StartLimitBurst"))
    said = run(str(INSTALLER))
    assert "active and healthy" in said, "the installer does not count what was before"


def test_what_is_done_by_hand_is_not_counted(service: str) -> None:
    """Neither restarts nor refusals, however many; and what was refused starts once it is mended."""
    good = SETTINGS.read_text()
    with drop_in("[Unit]\nStartLimitBurst=2\n"):
        for _ in range(4):
            systemctl("restart", UNIT)
        SETTINGS.write_text(good + "LOG_LEVEL=loud\n")
        try:
            for _ in range(4):
                systemctl("restart", UNIT, check=False)
                assert failed() == ("exit-code", "78")
            said = run(str(INSTALLER), check=False).strip().splitlines()[-1]
            assert "did not get healthy: ticket-backend: LOG_LEVEL must be one of" in said
        finally:
            SETTINGS.write_text(good)
        systemctl("restart", UNIT)
        assert api().is_healthy()


def test_starts_that_time_out_give_up_within_the_limits_as_shipped(service: str) -> None:
    """Five of them, with everything that lies between, end within the interval in which they are counted."""
    scale = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
    seconds = {
        name: sum(float(n) * scale[unit] for n, unit in re.findall(r"([0-9.]+)(ms|s|min|h)", state(name)))
        for name in ("TimeoutStartUSec", "TimeoutStopUSec", "RestartUSec", "StartLimitIntervalUSec")
    }
    burst = int(state("StartLimitBurst"))
    between = seconds["TimeoutStartUSec"] + seconds["TimeoutStopUSec"] + seconds["RestartUSec"]
    assert burst * between < seconds["StartLimitIntervalUSec"]


@pytest.fixture
def small_disk(service: str) -> Iterator[str]:
    """The database on a volume of 16 MB, which outlives a restart since another container has it mounted, too."""
    keeper = "ticket-backend-test-keeper"
    run("podman", "rm", "-f", "-t", "0", keeper, check=False)
    run("podman", "volume", "rm", "-f", FULL, check=False)
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=16m,mode=1777")
    run("podman", "volume", "create", *options, FULL)
    mount = ("-v", f"{FULL}:/app/data")
    run("podman", "run", "-d", "--name", keeper, *mount, "localhost/ticket-backend:latest", "sleep", "600")
    try:
        volumes = "".join(f"Volume=ticket-backend-{name}.volume:/app/{name}\n" for name in ("uploads", "memories"))
        with drop_in(f"[Container]\nVolume=\nVolume={FULL}:/app/data\n{volumes}"):
            systemctl("restart", UNIT)
            yield keeper
    finally:
        systemctl("reset-failed", UNIT, check=False)
        systemctl("restart", UNIT)
        run("podman", "rm", "-f", "-t", "0", keeper, check=False)
        run("podman", "volume", "rm", "-f", FULL, check=False)


def fill(keeper: str) -> None:
    run("podman", "exec", keeper, "sh", "-c", "cat /dev/zero > /app/data/filler", check=False)


def status_of_write() -> int:
    return api().session.post(f"{api().url}/api/tickets", json=TICKET, timeout=30).status_code


def test_full_disk_is_told_and_lost_is_nothing_and_room_heals_it(small_disk: str) -> None:
    before = main_pid()
    with writing(4) as kept:
        wait_until(lambda: len(kept) > 20, 30, "acknowledged writes")
        fill(small_disk)
        wait_until(lambda: status_of_write() == 507, 10, "writes to be refused")
        health = wait_until(lambda: (h := api().health()) and h["status"] != "ok" and h, 10, "an ill health")
        assert "0 MiB free" in health["ports"]["space"]["reason"]
        assert all_ids() >= set(kept), "reads go on"
        time.sleep(15)  # twice what it takes to be killed by the check, were it asked about the disk
        assert main_pid() == before and state("ActiveState") == "active"
        run("podman", "exec", small_disk, "rm", "/app/data/filler")
        started = time.monotonic()
        wait_until(lambda: api().is_healthy() and status_of_write() == 201, 30, "health, once there is room")
        measured("from room on the disk to healthy", started, 10)
    assert all_ids() >= set(kept)
    assert main_pid() == before, "nothing was restarted"
    print(f"full disk: {len(kept)} writes acknowledged, 0 lost")


def test_start_on_a_full_disk_ends_in_a_clear_state(small_disk: str) -> None:
    ticket = api().ticket()
    fill(small_disk)
    os.kill(main_pid(), signal.SIGKILL)
    assert failed() == ("exit-code", "74")
    last = [line for line in journal(30).splitlines() if line.startswith("ticket-backend: ")][-1]
    assert "full" in last or "space" in last
    run("podman", "exec", small_disk, "rm", "/app/data/filler")
    systemctl("reset-failed", UNIT)
    systemctl("start", UNIT)
    assert api().get(f"/api/tickets/{ticket['id']}").status_code == 200


def test_restart_by_hand_is_quick(service: str) -> None:
    started = time.monotonic()
    systemctl("restart", UNIT)
    measured("from a restart by hand to healthy", started, 10)


def test_doctor_mends_a_running_installation(service: str, tmp_path: Path) -> None:
    doctor = ("podman", "exec", "ticket-backend", "python", "-m", "backend", "doctor", "--checksums")
    with writing(2) as kept:
        wait_until(lambda: len(kept) > 5, 30, "acknowledged writes")
        assert "all is well" in run(*doctor)
        script = "mkdir -p /app/uploads/00; echo x > /app/uploads/00/left; touch -d '2 hours ago' /app/uploads/00/left"
        run("podman", "exec", "ticket-backend", "sh", "-c", script)
        assert "wrong: uploads/00/left belongs to no attachment" in run(*doctor, check=False)
        assert "mended: uploads/00/left belongs to no attachment" in run(*doctor, "--mend")
        assert "all is well" in run(*doctor)
    assert all_ids() >= set(kept)
