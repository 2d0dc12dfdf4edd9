"""Background work in SQS, with everything else at home or beside it: on moto's server, which needs no Java."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from backend.adapters.aws import clients, jobs
from backend.adapters.aws.jobs import SqsJobs
from backend.domain.access import Caller, Role
from backend.domain.catalogue import Kind, Record
from backend.domain.imports import ImportDraft
from backend.domain.jobs import MOST_TRIES, LeaseLost
from backend.domain.pages import Sort, TicketQuery
from backend.errors import StorageRefused, TooLarge, Unavailable
from backend.main import create_app
from backend.ports import Ports
from backend.settings import load_settings
from backend.usecases import import_work, imports
from backend.usecases import jobs as job_work
from backend.web import health
from backend.wiring import CloudSetup, wire
from tests.clouds import CREDENTIALS, REGION, moto, queue_url
from tests.conftest import ADMIN_TOKEN, Client, reopening, variables, with_database
from tests.contract.test_jobs import a_job, taken
from tests.process.test_process import SERVE, call, free_port, refused, running, wait_until

COMMAND = SERVE[:-1]
run = asyncio.run


@pytest.fixture(scope="module")
def sqs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where moto answers."""
    with moto(tmp_path_factory.mktemp("sqs")) as address:
        yield address


@pytest.fixture
def environment(sqs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with a queue of its own, not made yet."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs)
    name = f"test-{uuid4().hex}"
    found = {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION, "SQS_QUEUE_URL": queue_url(name)}
    return variables(with_database(tmp_path), **found)


@pytest.fixture
def opened(environment: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """Opens the ports, each time as another replica would."""
    CloudSetup(load_settings(environment)).make()
    with reopening(environment) as open_again:
        yield open_again


@pytest.fixture
def ports(opened: Callable[[], Ports]) -> Ports:
    return opened()


def queue_of(ports: Ports) -> jobs.Queue:
    assert isinstance(ports.jobs, SqsJobs)
    return ports.jobs.queue


def inside(ports: Ports) -> int:
    """How many messages there are, hidden ones too."""
    names = ["", "NotVisible", "Delayed"]
    found = queue_of(ports).attributes(queue_of(ports).url, "All")
    return sum(int(found[f"ApproximateNumberOfMessages{name}"]) for name in names)


class TestDelays:
    """SQS's limits, of 15 minutes and 12 hours, are a second here."""

    def test_longer_than_sqs_holds_a_new_message(self, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
        async def check() -> None:
            job = a_job()
            began = asyncio.get_running_loop().time()
            await ports.jobs.put(job, delay=3)
            leased = await taken(ports)
            assert asyncio.get_running_loop().time() - began >= 3
            assert leased.job == job
            assert leased.tries == 1, "waiting is no try"
            await ports.jobs.finish(leased)
            assert inside(ports) == 0

        monkeypatch.setattr(jobs, "_LONGEST_DELAY", 1)
        run(check())

    def test_longer_than_sqs_hides_a_message(self, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
        async def check() -> None:
            job = a_job()
            await ports.jobs.put(job)
            began = asyncio.get_running_loop().time()
            await ports.jobs.release(await taken(ports), delay=3)
            leased = await taken(ports)
            assert asyncio.get_running_loop().time() - began >= 3
            assert (leased.job, leased.tries) == (job, 2), "the first try is not forgotten"

        monkeypatch.setattr(jobs, "_LONGEST_DELAY", 1)
        monkeypatch.setattr(jobs, "_LONGEST_HIDDEN", 1)
        run(check())

    def test_tries_before_and_after_count_together(self, ports: Ports) -> None:
        async def check() -> None:
            job = a_job()
            queue_of(ports).send(jobs._message(job, 0, MOST_TRIES))
            assert await ports.jobs.take(30) is None
            assert await ports.jobs.list_dead(10) == [job]
            assert inside(ports) == 0

        run(check())


def test_what_is_no_job_holds_up_none(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        for text in ("hello", "[]", "{}", '{"kind": 1}', '{"kind": "x", "id": "y", "body": 3, "created_at": ""}'):
            queue_of(ports).send(text)
        job = a_job()
        await ports.jobs.put(job)
        assert (await taken(ports)).job == job

    run(check())
    assert "holds a message that is no job" in caplog.text


def test_job_larger_than_a_message_is_refused(ports: Ports) -> None:
    run(ports.jobs.put(a_job(text="x" * 260_000)))
    with pytest.raises(TooLarge, match="262144 bytes"):
        run(ports.jobs.put(a_job(text="é" * 60_000)))


def test_any_character_passes(ports: Ports) -> None:
    job = a_job(text="\x00\x1b\ud83d\uffff𝄞")
    run(ports.jobs.put(job))
    assert run(taken(ports)).job == job


def test_takers_throw_probes_away(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr(jobs, "PROBED_SECONDS", 0.0)
        for _ in range(3):
            await ports.jobs.probe()
        assert inside(ports) == 4, "one more when it was opened"
        job = a_job()
        await ports.jobs.put(job)
        leased = await taken(ports)
        assert leased.job == job
        await ports.jobs.finish(leased)
        assert await ports.jobs.take(1) is None and inside(ports) == 0

    run(check())


def test_probes_write_once_a_minute(ports: Ports) -> None:
    async def check() -> None:
        for _ in range(3):
            await ports.jobs.probe()
        assert inside(ports) == 1, "that of the start"

    run(check())


def test_taker_that_gives_up_gives_back(opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        here, there = opened(), opened()
        assert await here.jobs.take(1) is None  # the probes of the start are gone
        waiting = asyncio.create_task(here.jobs.take(600))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        job = a_job()
        await there.jobs.put(job)
        assert (await taken(there)).job == job

    run(check())


def test_lists_all_that_are_dead_and_leaves_them_there(ports: Ports) -> None:
    async def check() -> None:
        dead = [a_job(n=n) for n in range(23)]
        for job in dead:
            queue_of(ports).send(jobs._message(job), url=queue_of(ports).dead_url)
        queue_of(ports).send("hello", url=queue_of(ports).dead_url)
        for _ in range(2):
            assert await ports.jobs.list_dead(100) == dead, "nothing is hidden from whoever looks next"
        assert len(await ports.jobs.list_dead(5)) == 5

    run(check())


def test_a_lease_ends_by_our_clock_whatever_sqs_says(ports: Ports) -> None:
    async def check() -> None:
        assert isinstance(ports.jobs, SqsJobs)
        await ports.jobs.put(a_job())
        leased = await taken(ports, lease=600)
        ports.jobs._ends[leased.lease] = 0.0
        assert not await ports.jobs.extend(leased, 600)
        await ports.jobs.finish(leased)
        await ports.jobs.release(leased)
        assert inside(ports) >= 1 and await ports.jobs.take(1) is None, "it changed nothing"

    run(check())


class TestHandedOutTwice:
    """SQS may give one message to two takers; the one that is slower must not take it from the other."""

    def test_a_table_still_comes_once(self, opened: Callable[[], Ports]) -> None:
        async def check() -> None:
            here, there = opened(), opened()
            record = await begun(here, "t\n" + "".join(f"ticket {n}\n" for n in range(2_000)))
            mine = await taken(here, lease=600)
            queue_of(here).hide(mine.lease, 0)
            theirs = await taken(there, lease=600)
            assert theirs.job == mine.job
            ended = await asyncio.gather(
                import_work.run(here, mine), import_work.run(there, theirs), return_exceptions=True
            )
            assert sorted(map(type, ended), key=str) == sorted([LeaseLost, type(None)], key=str)
            done = await here.catalogue.get(Kind.IMPORT, record.id)
            assert (done.body["state"], done.body["made"]) == ("done", 2_000)
            page = await here.tickets.list_tickets(TicketQuery(sort=Sort.HIGHEST_NUMBER, limit=1))
            assert page.items[0].number == 2_000

        run(check())

    def test_who_lost_it_leaves_it(self, ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
        async def lose(*_: object) -> None:
            raise LeaseLost

        async def check() -> None:
            await ports.jobs.put(a_job())
            with monkeypatch.context() as patch:
                patch.setitem(job_work.KINDS, "test", lose)  # type: ignore[arg-type]
                patch.setattr(job_work, "LEASE_SECONDS", 1.0)
                while not await job_work.work(ports):
                    pass
            assert (await taken(ports)).tries == 2, "it is there again when the lease ends"

        run(check())


async def begun(ports: Ports, table: str) -> Record:
    """An import of this table that nobody has taken yet."""

    async def content() -> AsyncIterator[bytes]:
        yield table.encode()

    admin = Caller("a", "admin", Role.ADMIN, "admin")
    draft = ImportDraft(columns={"t": "title"})
    return await imports.start(ports, admin, draft, await imports.store(ports, admin, content(), None), None)


class TestTrouble:
    def test_missing_queue_refuses_the_start_in_one_line(self, environment: dict[str, str]) -> None:
        ports = wire(load_settings(environment))
        with pytest.raises(StorageRefused, match=r"^SQS_QUEUE_URL: The SQS queue .* does not exist.*aws-setup"):
            ports.open()
        ports.close()

    def test_queue_without_another_for_the_dead_refuses_the_start(self, environment: dict[str, str], sqs: str) -> None:
        client(sqs).create_queue(QueueName=environment["SQS_QUEUE_URL"].rpartition("/")[2])
        ports = wire(load_settings(environment))
        with pytest.raises(StorageRefused, match=r"has no dead-letter queue.*aws-setup"):
            ports.open()
        ports.close()

    def test_health_is_degraded_while_it_is_gone_and_mends_by_itself(
        self, opened: Callable[[], Ports], environment: dict[str, str], sqs: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "SHARED_SECONDS", 0.0)
        settings = load_settings(environment)
        with Client(create_app(settings), raise_server_exceptions=False) as asking:
            admin = asking.speaking(ADMIN_TOKEN)
            found = admin.get("/health").json()
            assert (found["status"], found["ports"]["jobs"]["adapter"]) == ("ok", "sqs")
            client(sqs).delete_queue(QueueUrl=environment["SQS_QUEUE_URL"])
            answer = admin.get("/health")
            assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            assert "does not exist" in answer.json()["ports"]["jobs"]["reason"]
            mapping = {"columns": {"t": "title"}}
            sent = admin.post("/api/imports", data={"mapping": json.dumps(mapping)}, files={"file": ("t.csv", b"t\nx")})
            assert sent.status_code == 503 and "does not exist" in sent.json()["detail"]
            CloudSetup(settings).make()
            assert admin.get("/health").json()["status"] == "ok"

    def test_queue_that_is_away_does_not_keep_a_replica_from_starting(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
        with Client(create_app(load_settings(environment)), raise_server_exceptions=False) as asking:
            found = asking.get("/health").json()
            assert found["status"] == "degraded" and "can't be reached" in found["ports"]["jobs"]["reason"]

    def test_queue_that_does_not_answer_is_told_as_such(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clients, "READ_SECONDS", 0.2)
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{mute.getsockname()[1]}")
            ports = wire(load_settings(environment))
            with pytest.raises(Unavailable, match=r"^The SQS queue .* did not answer"):
                run(ports.jobs.probe())
            ports.close()


class TestSetup:
    def test_makes_both_queues_once_and_says_what_is_wrong(self, environment: dict[str, str], sqs: str) -> None:
        setup, url = CloudSetup(load_settings(environment)), environment["SQS_QUEUE_URL"]
        name = url.rpartition("/")[2]
        assert setup.check() == [f"The SQS queue {name}-dead does not exist.", f"The SQS queue {name} does not exist."]
        assert setup.make() == [f"made the SQS queue {name}-dead", f"made the SQS queue {name}"]
        assert (setup.make(), setup.check()) == ([], [])
        found = client(sqs).get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
        policy = json.loads(found["RedrivePolicy"])
        assert policy["deadLetterTargetArn"].endswith(f":{name}-dead")
        assert int(policy["maxReceiveCount"]) == MOST_TRIES

    def test_corrects_queues_that_others_made(self, environment: dict[str, str], sqs: str) -> None:
        setup = CloudSetup(load_settings(environment))
        name = environment["SQS_QUEUE_URL"].rpartition("/")[2]
        for one in (name, f"{name}-dead"):
            client(sqs).create_queue(QueueName=one)
        assert len(setup.check()) == 2 and all("forgets what waits in it" in line for line in setup.check())
        assert len(setup.make()) == 2
        assert setup.check() == []
        client(sqs).set_queue_attributes(QueueUrl=environment["SQS_QUEUE_URL"], Attributes={"RedrivePolicy": ""})
        (line,) = setup.check()
        assert f"does not move to {name}-dead what was taken 20 times" in line, line
        assert setup.make() == [f"corrected the SQS queue {name}"] and setup.check() == []

    def test_queue_of_another_account_is_told_as_such(self, environment: dict[str, str]) -> None:
        elsewhere = environment["SQS_QUEUE_URL"].replace("/123456789012/", "/999999999999/")
        setup = CloudSetup(load_settings({**environment, "SQS_QUEUE_URL": elsewhere}))
        with pytest.raises(StorageRefused, match="is of another account than the credentials"):
            setup.make()

    def test_policy_is_for_these_two_queues(self, environment: dict[str, str]) -> None:
        policy = json.loads(CloudSetup(load_settings(environment)).policy())["Statement"]
        name = environment["SQS_QUEUE_URL"].rpartition("/")[2]
        arn = f"arn:aws:sqs:{REGION}:123456789012:{name}"
        assert [statement["Resource"] for statement in policy] == [[arn], [f"{arn}-dead"]]
        assert {"sqs:SendMessage", "sqs:ChangeMessageVisibility"} <= set(policy[0]["Action"])
        assert "sqs:DeleteMessage" not in policy[1]["Action"]


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (queue_url("tickets"), REGION),
        ("https://us-east-2.queue.amazonaws.com/123456789012/tickets", "us-east-2"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/tickets", "cn-north-1"),
        ("http://127.0.0.1:9324/queue/tickets", None),
    ],
)
def test_region_is_that_of_the_url(url: str, region: str | None) -> None:
    assert jobs.Queue(clients.Cloud(clients.Access(region="af-south-1")), url).region == region


def client(address: str) -> Any:
    session = boto3.session.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    return session.client("sqs", REGION, endpoint_url=address)


def at(port: int) -> dict[str, str]:
    return {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SQS_QUEUE_URL": queue_url("my-tickets"),
    }


def test_server_finishes_a_table_through_the_queue_though_it_is_killed(tmp_path: Path) -> None:
    rows = "".join(f"ticket {n},{'low' if n % 10 else 'no'}\n" for n in range(4_000))
    (tmp_path / "t.csv").write_text("t,s\n" + rows)
    given = at(free_port())
    with moto(tmp_path, int(given["AWS_ENDPOINT_URL"].rpartition(":")[2])) as address:
        assert refused(tmp_path, [*COMMAND, "aws-setup"], **given)[0] == 0
        with running(tmp_path, **given) as (process, port):
            location = imported(port, tmp_path / "t.csv")
            wait_until(lambda: call(port, "GET", "/api/tickets")[1]["items"] != [])
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with running(tmp_path, **given) as (_, port):
            assert call(port, "GET", location)[1]["state"] == "running", "it was killed in the middle"
            wait_until(lambda: call(port, "GET", location)[1]["state"] == "done", 90)
            found = call(port, "GET", location)[1]
            assert (found["tickets_made"], found["rows_refused"], found["rows_read"]) == (3_600, 400, 4_000)
            assert titles(port) == [f"ticket {n}" for n in range(4_000) if n % 10]
            wait_until(lambda: left(address, given["SQS_QUEUE_URL"]) == 0)


def imported(port: int, table: Path) -> str:
    """Begin an import; where it tells how it goes."""
    mapping = json.dumps({"columns": {"t": "title", "s": "severity"}})
    form = ["-F", f"mapping={mapping}", "-F", f"file=@{table}", "-H", f"Authorization: Bearer {ADMIN_TOKEN}"]
    command = ["curl", "-s", *form, f"http://127.0.0.1:{port}/api/imports"]
    return f"/api/imports/{json.loads(subprocess.run(command, capture_output=True, check=True).stdout)['id']}"


def titles(port: int) -> list[str]:
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = call(port, "GET", f"/api/tickets?sort=number&limit=200{cursor and '&cursor=' + cursor}")[1]
        found += [one["title"] for one in page["items"]]
        cursor = page["next_cursor"]
    return found


def left(address: str, url: str) -> int:
    """Jobs that are in the queue, whoever has them."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(
        map(int, client(address).get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())
    )


def test_queue_that_does_not_exist_refuses_the_start_of_the_server(tmp_path: Path) -> None:
    given = at(free_port())
    with moto(tmp_path, int(given["AWS_ENDPOINT_URL"].rpartition(":")[2])):
        code, lines = refused(tmp_path, **given)
    assert code == 74
    assert [line for line in lines if "SQS_QUEUE_URL" in line and "aws-setup" in line] == lines
