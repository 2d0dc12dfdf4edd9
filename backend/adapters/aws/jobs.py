"""The queue of work in SQS: a standard queue, and one beside it for what never ends.

A lease is a message's visibility timeout. SQS may still take the receipt of a lease that has run out, so this process
keeps its own clock of each, begun before the message was asked for and so never ahead of SQS's: past it, the lease
is lost, whatever SQS would say.

SQS holds a message back for 15 minutes at most when it is sent and for 12 hours once it was received. A job that shall
wait longer says until when; whoever receives it too early sends it anew and removes the old one. Killed between the
two, it leaves the job twice, which doing it bears.
"""

import asyncio
import json
import logging
import math
import re
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from backend.adapters.aws.clients import Cloud, Misconfigured, check_at_start, told
from backend.domain.jobs import MOST_TRIES, Job, Leased
from backend.domain.values import Instant, instant, now
from backend.errors import TooLarge

VARIABLE = "SQS_QUEUE_URL"
DEAD = "-dead"
LARGEST = 256 * 1024  # bytes of a message
WAIT_SECONDS = 2  # that a take waits for a job: fewer calls, and every server of SQS is asked
PROBED_SECONDS = 60.0
_LONGEST_DELAY = 900
_LONGEST_HIDDEN = 11 * 3_600  # of 12 hours from its receipt on
_PASSED_OVER = 10  # messages in one take that are no job to do now
_LOOKED_AT_SECONDS = 20
_PROBE = "probe"
_LOST = (
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
    "MessageNotInflight",
    "ReceiptHandleIsInvalid",
)
_region_of = re.compile(r"(?:sqs\.)?([a-z]+(?:-[a-z]+)+-[0-9])(?:\.queue)?\.amazonaws\.com(?:\.cn)?").fullmatch

logger = logging.getLogger("backend.sqs")


class Queue:
    """A queue and its dead-letter queue, by the URL of the first, and the calls that are made of them. They block."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self.cloud = cloud
        self.url = url
        self.dead_url = url + DEAD
        self.name = url.rpartition("/")[2]
        self.what = f"The SQS queue {self.name}"
        found = _region_of(urlsplit(url).hostname or "")
        self.region = found.group(1) if found else None

    @property
    def client(self) -> Any:
        """boto3's, in the queue's own region."""
        return self.cloud.client("sqs", self.region)

    def attributes(self, url: str, *names: str) -> dict[str, str]:
        """What SQS says of a queue."""
        with told(f"The SQS queue {url.rpartition('/')[2]}"):
            found: dict[str, str] = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get(
                "Attributes", {}
            )
            return found

    def send(self, body: str, delay: float = 0, url: str | None = None) -> None:
        """Hand in a message."""
        with told(self.what):
            self.client.send_message(QueueUrl=url or self.url, MessageBody=body, DelaySeconds=math.ceil(delay))

    def receive(self, url: str, most: int, hidden: float, wait: int = 0) -> list[Mapping[str, Any]]:
        """Some messages, hidden from others for so many seconds."""
        with told(self.what):
            answer = self.client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=math.ceil(hidden),
                WaitTimeSeconds=wait,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        found: list[Mapping[str, Any]] = answer.get("Messages", [])
        return found

    def hide(self, handle: str, seconds: float) -> bool:
        """Hide a received message for so many seconds from now; False where it is no longer the receiver's."""
        try:
            with told(self.what, *_LOST):
                self.client.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=math.ceil(seconds)
                )
        except ClientError:
            return False
        return True

    def show(self, url: str, handles: Sequence[str]) -> None:
        """Let others receive these messages again at once."""
        for start in range(0, len(handles), 10):
            entries = [
                {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for n, handle in enumerate(handles[start : start + 10])
            ]
            with told(self.what):
                self.client.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    def delete(self, handle: str) -> None:
        """Remove a received message; no error where it is no longer the receiver's."""
        try:
            with told(self.what, *_LOST):
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=handle)
        except ClientError:
            return


class SqsJobs:
    """The port `Jobs` on a queue."""

    adapter = "sqs"
    remote = True

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._ends: dict[str, float] = {}  # of each lease of this process, on the monotonic clock
        self._proven = -math.inf

    def open(self) -> None:
        """Ask the queue once."""
        warning = check_at_start(self._check, VARIABLE)
        if warning:
            logger.warning("%s", warning)

    def close(self) -> None:
        """Let running calls finish."""
        self.queue.cloud.close()

    async def probe(self) -> None:
        """Send a message that takers throw away, where nothing was sent for a minute; else ask whether it is there."""
        await self.queue.cloud.hurried().run(self._probe)

    def _probe(self) -> None:
        asked = Queue(self.queue.cloud.hurried(), self.queue.url)
        if time.monotonic() - self._proven < PROBED_SECONDS:
            asked.attributes(asked.url, "QueueArn")
        else:
            asked.send(json.dumps({"kind": _PROBE}))
            self._proven = time.monotonic()

    def _check(self) -> None:
        """That there is a queue for what never ends, and then a probe."""
        if "RedrivePolicy" not in self.queue.attributes(self.queue.url, "RedrivePolicy"):
            raise Misconfigured(f"{self.queue.what} has no dead-letter queue; `python -m backend aws-setup` makes it.")
        self._send(json.dumps({"kind": _PROBE}))

    def _send(self, body: str, delay: float = 0) -> None:
        self.queue.send(body, min(delay, _LONGEST_DELAY))
        self._proven = time.monotonic()

    # ---- Jobs ------------------------------------------------------------------------------------------------------

    async def put(self, job: Job, delay: float = 0) -> None:
        """See ports.Jobs. Raises TooLarge past what SQS takes."""
        body = _message(job, delay)
        if len(body) > LARGEST:
            raise TooLarge(f"A job of {len(body)} bytes is more than a message of SQS holds, {LARGEST} bytes.")
        await self.queue.cloud.run(lambda: self._send(body, delay))

    async def take(self, lease: float) -> Leased | None:
        """See ports.Jobs. Cancelled while it waits, it gives back what still comes."""
        given_up = threading.Event()
        try:
            return await self.queue.cloud.run(lambda: self._take(lease, given_up))
        except asyncio.CancelledError:
            given_up.set()
            raise

    def _take(self, lease: float, given_up: threading.Event) -> Leased | None:
        wait = WAIT_SECONDS
        for _ in range(_PASSED_OVER):
            began = time.monotonic()
            messages = self.queue.receive(self.queue.url, 1, lease, wait)
            if not messages:
                return None
            if given_up.is_set():
                self.queue.hide(messages[0]["ReceiptHandle"], 0)
                return None
            leased = self._opened(messages[0])
            if leased:
                for held in [held for held, end in list(self._ends.items()) if end <= began]:
                    self._ends.pop(held, None)
                self._ends[leased.lease] = began + math.ceil(lease)
                return leased
            wait = 0
        return None

    def _opened(self, message: Mapping[str, Any]) -> Leased | None:
        """The job in a message, if it is to be done now; what is not is seen to here."""
        handle: str = message["ReceiptHandle"]
        try:
            said = json.loads(message["Body"])
            if said["kind"] == _PROBE:
                self.queue.delete(handle)
                return None
            job = _job(said)
            tries = int(said.get("tries", 0)) + int(message["Attributes"]["ApproximateReceiveCount"])
            due_at = str(said.get("due_at", ""))
        except (ValueError, LookupError, TypeError, AttributeError):
            # Left to the dead-letter queue, where whoever sent it may find it.
            logger.warning("%s holds a message that is no job: %s", self.queue.what, message.get("MessageId"))
            return None
        if due_at > now():
            self._instead(handle, message["Body"], _seconds_until(due_at))
        elif tries > MOST_TRIES:
            self.queue.send(_message(job), url=self.queue.dead_url)
            self.queue.delete(handle)
        else:
            return Leased(job, handle, tries)
        return None

    def _instead(self, handle: str, body: str, delay: float) -> None:
        """Send a message anew, then remove the one that was received: there is one at any moment."""
        self._send(body, delay)
        self.queue.delete(handle)

    async def extend(self, leased: Leased, lease: float) -> bool:
        """See ports.Jobs."""

        def work() -> bool:
            began = time.monotonic()
            if not self._holds(leased) or not self.queue.hide(leased.lease, lease):
                self._ends.pop(leased.lease, None)
                return False
            self._ends[leased.lease] = began + math.ceil(lease)
            return True

        return await self.queue.cloud.run(work)

    async def finish(self, leased: Leased) -> None:
        """See ports.Jobs."""
        if self._holds(leased):
            await self.queue.cloud.run(lambda: self.queue.delete(leased.lease))
            self._ends.pop(leased.lease, None)

    async def release(self, leased: Leased, delay: float = 0) -> None:
        """See ports.Jobs."""

        def work() -> None:
            if not self._holds(leased):
                return
            if delay > _LONGEST_HIDDEN:
                self._instead(leased.lease, _message(leased.job, delay, leased.tries), delay)
            else:
                self.queue.hide(leased.lease, delay)
            self._ends.pop(leased.lease, None)

        await self.queue.cloud.run(work)

    def _holds(self, leased: Leased) -> bool:
        return time.monotonic() < self._ends.get(leased.lease, 0.0)

    async def list_dead(self, limit: int) -> Sequence[Job]:
        """See ports.Jobs. Hidden from others who look only while it is done, and left where they are."""

        def work() -> list[Job]:
            queue, found, handles = self.queue, dict[str, Job](), list[str]()
            name = "ApproximateNumberOfMessages"
            there = int(queue.attributes(queue.dead_url, name).get(name, 0))
            while len(handles) < there and len(found) < limit:
                messages = queue.receive(queue.dead_url, 10, _LOOKED_AT_SECONDS, 1)
                if not messages:
                    break
                handles += [message["ReceiptHandle"] for message in messages]
                found |= {job.id: job for job in map(_dead, messages) if job}
            queue.show(queue.dead_url, handles)
            return [found[job_id] for job_id in sorted(found)][:limit]

        return await self.queue.cloud.run(work)


def _message(job: Job, delay: float = 0, tries: int = 0) -> str:
    """As it is sent: ASCII, since SQS takes not every character; with what SQS can't know of it."""
    said: dict[str, Any] = {"id": job.id, "kind": job.kind, "body": job.body, "created_at": job.created_at}
    if delay > _LONGEST_DELAY:
        said["due_at"] = instant(time.time_ns() // 1_000 + round(delay * 1_000_000))
    if tries:
        said["tries"] = tries
    return json.dumps(said)


def _job(said: Mapping[str, Any]) -> Job:
    return Job(str(said["id"]), str(said["kind"]), dict(said["body"]), str(said["created_at"]))


def _dead(message: Mapping[str, Any]) -> Job | None:
    try:
        return _job(json.loads(message["Body"]))
    except (ValueError, LookupError, TypeError):
        return None


def _seconds_until(moment: Instant) -> float:
    return max(0.0, datetime.fromisoformat(moment).timestamp() - time.time())
