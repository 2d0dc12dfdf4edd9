"""A crowd of clients for several replicas on one store, and what must be true of everything they were told.

The crowd does not know what serves it: processes, or containers behind a proxy. It only asks the addresses it is given,
and remembers each answer. Whatever is done to replicas and network meanwhile, `Crowd.check` holds at the end.
"""

import hashlib
import http.client
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from tests.streams import Stream, wait_until

TRY_SECONDS = 8.0
GIVE_UP_SECONDS = 240.0
SETTLED_SECONDS = 5.0  # longer than empty places among events are waited for
ROWS = 30  # of each table that is imported
TICKET = {"title": "T", "description": "D", "severity": "low", "category": "C"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Silence(Exception):
    """No whole answer came: the request may have taken effect or not."""


def ask(
    port: int, token: str, method: str, path: str, body: Any = None, seconds: float = TRY_SECONDS, **headers: str
) -> Answer:
    """One request on a connection of its own. Raises Silence."""
    sent = {"authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    if data is not None:
        sent.setdefault("content-type", "application/json")
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)) as connection:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    except (OSError, http.client.HTTPException) as problem:
        raise Silence(str(problem)) from problem


def form(field: str, content: bytes, **fields: str) -> tuple[bytes, str]:
    """A form with one file, and its content type."""
    parts = [f'--b\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    head = f'--b\r\ncontent-disposition: form-data; name="{field}"; filename="a.csv"\r\n\r\n'.encode()
    return b"".join([*parts, head, content, b"\r\n--b--\r\n"]), "multipart/form-data; boundary=b"


class Crowd:
    """Clients that file, change, attach, import and follow until they are told to stop."""

    def __init__(self, ports: Sequence[int], token: str, seed: int = 1) -> None:
        self.ports = list(ports)
        self.token = token
        self.acknowledged = 0
        self.failed = 0
        self.problems: list[str] = []
        self.filed: dict[str, dict[str, Any]] = {}
        self.attached: dict[str, str] = {}
        self.imports: dict[str, str] = {}
        self.ledgers: list[_Ledger] = []
        self.readers: list[_Reader] = []
        self._random = random.Random(seed)
        self._end = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Send everybody off."""
        self.ledgers = [
            _Ledger(self._until_answered("POST", "/api/tickets", TICKET, key=_key()).json["id"]) for _ in "ab"
        ]
        self.readers = [_Reader(self, n) for n in range(3)]
        clients = (
            [self.file, self.file] + [self.file_twice] * 2 + [self.file_without_key, self.attach, self.import_table]
        )
        clients += [lambda ledger=ledger: self.append(ledger) for ledger in self.ledgers for _ in range(2)]
        work = [*(self._again(client) for client in clients), *(reader.read for reader in self.readers)]
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in self._threads:
            thread.start()

    def go_on(self, acknowledged: int = 20, seconds: float = 120) -> None:
        """Wait until so many more writes are acknowledged."""
        goal = self.acknowledged + acknowledged
        wait_until(lambda: self.acknowledged >= goal or self.problems, seconds)
        assert not self.problems, self.problems[:3]
        print(f"{time.strftime('%X')} {self.acknowledged} acknowledged, {self.failed} tried in vain", flush=True)

    def stop(self) -> None:
        """Let everybody finish what they are at; the readers read to the end."""
        self._stopping.set()
        writers = self._threads[: len(self._threads) - len(self.readers)]
        for thread in writers:
            thread.join(GIVE_UP_SECONDS)
        # What nobody waits for any more may still be under way in a replica: it is not looked at, if it comes after this.
        self._end = self._settled_position()
        for reader in self.readers:
            reader.end = self._end
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "somebody still waits for an answer"

    # ---- What clients do -------------------------------------------------------------------------------------------

    def file(self) -> None:
        """File a ticket with a key, again and again until it is answered."""
        key = _key()
        self._filed(key, self._until_answered("POST", "/api/tickets", {**TICKET, "title": key}, key=key))

    def file_twice(self) -> None:
        """Send the same request with the same key to two replicas at once."""
        key = _key()
        with ThreadPoolExecutor(2) as both:
            answers = list(
                both.map(
                    lambda n: self._until_answered("POST", "/api/tickets", {**TICKET, "title": key}, key=key, first=n),
                    range(2),
                )
            )
        if answers[0].body != answers[1].body:
            self.problems.append(f"one key, two answers: {answers}")
        self._filed(key, answers[0])

    def file_without_key(self) -> None:
        """File a ticket once: only an answer says that it is there."""
        title = _key()
        with self._counting():
            self._filed(title, self._ask("POST", "/api/tickets", {**TICKET, "title": title}))

    def attach(self) -> None:
        """Attach a file to the first ledger's ticket."""
        content = self._random.randbytes(20_000)
        body, kind = form("files", content)
        path = f"/api/tickets/{self.ledgers[0].ticket}/attachments"
        answer = self._until_answered("POST", path, body, key=_key(), content_type=kind)
        if answer.status != 201:
            # A ticket has room for so many; that it is full is an answer, too.
            self._unless(answer.status in (409, 413, 422), f"attach: {answer}")
            self._stopping.wait(1)
            return
        with self._lock:
            self.attached[answer.json["items"][0]["id"]] = hashlib.sha256(content).hexdigest()
            self.acknowledged += 1

    def import_table(self) -> None:
        """Import a table whose rows can be told, and wait until it is done."""
        name = _key()
        table = "title,description,severity,category\n" + "".join(f"{name} {n},D,low,{name}\n" for n in range(ROWS))
        body, kind = form("file", table.encode(), mapping=json.dumps({"columns": {c: c for c in TICKET}}))
        started = self._until_answered("POST", "/api/imports", body, key=name, content_type=kind)
        if not self._unless(started.status == 202, f"import: {started}"):
            return
        path = f"/api/imports/{started.json['id']}"
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while (found := self._until_answered("GET", path).json)["state"] in ("waiting", "running"):
            if not self._unless(time.monotonic() < deadline, f"import is not done: {found}"):
                return
            time.sleep(0.2)
        self._unless((found["state"], found["tickets_made"]) == ("done", ROWS), f"import: {found}")
        with self._lock:
            self.imports[name] = started.json["id"]

    def append(self, ledger: "_Ledger") -> None:
        """Add an entry to what the ticket's description says, on condition that nobody came between."""
        entry = uuid.uuid4().hex[:8]
        found = self._until_answered("GET", f"/api/tickets/{ledger.ticket}")
        longer = f"{found.json['description']} {entry}"
        with self._counting():
            path, given = f"/api/tickets/{ledger.ticket}", {"description": longer}
            answer = self._ask("PATCH", path, given, if_match=found.headers["etag"])
            with self._lock:
                if answer.status == 200:
                    ledger.kept.add(entry)
                    self.acknowledged += 1
                elif answer.status == 412:
                    ledger.refused.add(entry)
                else:
                    self.problems.append(f"append: {answer}")

    # ---- What must be true -----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold what is stored against what was answered."""
        assert not self.problems, self.problems[:5]
        stored = list(self.tickets())
        by_title: dict[str, list[dict[str, Any]]] = {}
        for ticket in stored:
            by_title.setdefault(ticket["title"], []).append(ticket)
        for field in ("id", "number"):
            assert len({ticket[field] for ticket in stored}) == len(stored), f"{field}s are not unique"
        lost = [title for title in self.filed if title not in by_title]
        assert not lost, f"{len(lost)} acknowledged tickets are lost"
        for title, told in self.filed.items():
            assert [ticket["id"] for ticket in by_title[title]] == [told["id"]], f"{title} was filed twice"
            assert by_title[title][0]["number"] == told["number"]
        for name in self.imports:
            made = [len(by_title.get(f"{name} {n}", ())) for n in range(ROWS)]
            assert made == [1] * ROWS, f"rows of an import came {made} times"
        self._check_ledgers()
        self._check_attachments()
        self._check_events({ticket["id"] for ticket in stored})

    def _check_ledgers(self) -> None:
        for ledger in self.ledgers:
            found = self._until_answered("GET", f"/api/tickets/{ledger.ticket}").json
            entries = found["description"].split()[1:]
            assert len(entries) == len(set(entries)), "an entry was written twice"
            assert ledger.kept <= set(entries), f"lost updates: {ledger.kept - set(entries)}"
            assert not ledger.refused & set(entries), "what was answered with 412 took effect"
            wait_until(lambda ledger=ledger: self._history_fits(ledger), 60)  # a change may still be under way

    def _history_fits(self, ledger: "_Ledger") -> bool:
        """Whether there is a line of history for each entry."""
        found = self._until_answered("GET", f"/api/tickets/{ledger.ticket}").json
        history = list(self._pages(f"/api/tickets/{ledger.ticket}/history?limit=200"))
        changes = [line for line in history if "description" in line["changes"]]
        return len(changes) == len(found["description"].split()) - 1

    def _check_attachments(self) -> None:
        ticket = self.ledgers[0].ticket
        listed = self._until_answered("GET", f"/api/tickets/{ticket}/attachments").json["items"]
        assert set(self.attached) <= {item["id"] for item in listed}, "acknowledged attachments are lost"
        for identity, digest in self.attached.items():
            found = self._until_answered("GET", f"/api/tickets/{ticket}/attachments/{identity}")
            assert hashlib.sha256(found.body).hexdigest() == digest, (
                f"an attachment is {found.status}, {found.body[:200]!r}"
            )

    def _check_events(self, stored: set[str]) -> None:
        first, *others = ([seen for seen in reader.seen if seen[0] <= self._end] for reader in self.readers)
        numbers = [number for number, _, _ in first]
        assert numbers == sorted(set(numbers)), "events out of order, or twice"
        for seen in others:
            missing = sorted(set(first) ^ set(seen))
            assert seen == first, f"readers saw different events: {missing[:5]} of {len(missing)}"
        created = [ticket for _, event, ticket in first if event == "ticket.created"]
        filed = {ticket["id"] for ticket in self.filed.values()}
        assert len(created) == len(set(created)), "a ticket's filing is one event"
        assert filed <= set(created) <= stored, "what was filed is told, and nothing else"
        for ledger in self.ledgers:
            changed = [1 for _, event, ticket in first if (event, ticket) == ("ticket.changed", ledger.ticket)]
            assert len(changed) >= len(ledger.kept), "each acknowledged change is an event"

    def tickets(self) -> Iterator[dict[str, Any]]:
        """All of them."""
        return self._pages("/api/tickets?sort=number&limit=200")

    # ---- Inside ----------------------------------------------------------------------------------------------------

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            page = self._until_answered("GET", path + cursor).json
            yield from page["items"]
            if not page["next_cursor"]:
                return
            cursor = f"&cursor={page['next_cursor']}"

    def _settled_position(self) -> int:
        """The newest position, once it rests: what was cut off leaves empty places, which are waited for and then closed."""
        last, since = self._last_position(), time.monotonic()
        while time.monotonic() - since < SETTLED_SECONDS:
            time.sleep(0.2)
            found = self._last_position()
            if found != last:
                last, since = found, time.monotonic()
        return last

    def _last_position(self) -> int:
        for port in itertools.cycle(self.ports):
            with suppress(OSError, http.client.HTTPException, AssertionError), Stream(port, self.token) as stream:
                assert stream.answer.status == 200
                return stream.hello().id
        raise AssertionError

    def _filed(self, title: str, answer: Answer) -> None:
        if self._unless(answer.status == 201, f"file: {answer}"):
            with self._lock:
                self.filed[title] = answer.json
                self.acknowledged += 1

    def _unless(self, fine: bool, problem: str) -> bool:
        if not fine:
            self.problems.append(problem)
        return fine

    def _again(self, client: Callable[[], None]) -> Callable[[], None]:
        def work() -> None:
            while not self._stopping.is_set():
                try:
                    client()
                except Exception as problem:
                    self.problems.append(repr(problem))
                    return

        return work

    def _counting(self) -> "_Counting":
        return _Counting(self)

    def _ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask any replica once. Raises Silence where it may have taken effect or not."""
        answer = ask(self._random.choice(self.ports), self.token, method, path, body, **headers)
        if answer.status >= 500:
            self._unless(answer.status in (502, 503, 504), f"{method} {path}: {answer}")
            raise Silence(str(answer))
        return answer

    def _until_answered(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, first: int | None = None, **more: str
    ) -> Answer:
        """Ask one replica after the other, until one answers with less than 500."""
        if key:
            more["idempotency_key"] = key
        start = self._random.randrange(len(self.ports)) if first is None else first
        deadline = time.monotonic() + GIVE_UP_SECONDS
        for port in itertools.cycle(self.ports[start % len(self.ports) :] + self.ports[: start % len(self.ports)]):
            with suppress(Silence):
                answer = ask(port, self.token, method, path, body, **more)
                if answer.status < 500:
                    return answer
                self._unless(answer.status in (502, 503, 504), f"{method} {path}: {answer}")
            self.failed += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path} was never answered")
            time.sleep(0.1)
        raise AssertionError


class _Counting:
    """Counts an answer that never came, and goes on."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, problem: BaseException | None, __: object) -> bool:
        if isinstance(problem, Silence):
            self._crowd.failed += 1
            time.sleep(0.05)
            return True
        return False


class _Ledger:
    """A ticket whose description is a list of entries: which were acknowledged, and which refused."""

    def __init__(self, ticket: str) -> None:
        self.ticket = ticket
        self.kept: set[str] = set()
        self.refused: set[str] = set()


class _Reader:
    """Follows from the first event on, hanging up now and then and going on with another replica."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.seen: list[tuple[int, str, str]] = []
        self.end: int | None = None
        self._crowd = crowd
        self._last = 0
        self._random = random.Random(number)

    def read(self) -> None:
        """Until everything up to `end` was seen."""
        while self.end is None or self._last < self.end:
            with suppress(OSError, http.client.HTTPException):
                self._read_some(self._random.choice(self._crowd.ports), self._random.randrange(1, 60))
            time.sleep(0.02)

    def _read_some(self, port: int, most: int) -> None:
        with Stream(port, self._crowd.token, self._last, seconds=5) as stream:
            if stream.answer.status != 200:
                return
            for message in itertools.islice(stream, most):
                if message.event not in (None, "hello"):
                    self.seen.append((message.id, message.event, message.data["ticket_id"]))
                self._last = message.id
                if self.end is not None and self._last >= self.end:
                    return


def _key() -> str:
    return uuid.uuid4().hex
