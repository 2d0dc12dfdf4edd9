"""What an installation needs in AWS: made where it is missing, looked over, and the permissions to use it."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from backend.adapters.aws import files, memories
from backend.adapters.aws.clients import Cloud, code_of, told
from backend.adapters.aws.jobs import DEAD, Queue
from backend.adapters.aws.layout import TTL, definition
from backend.adapters.aws.models import Model, invoking
from backend.adapters.aws.table import Table
from backend.adapters.aws.upgrade import Report, Upgrade
from backend.domain.jobs import MOST_TRIES
from backend.errors import Unavailable

LEFTOVER_DAYS = 1
POLL_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 3_600.0
LONGEST_QUEUE_SECONDS = 60.0
RETENTION_SECONDS = 14 * 86_400  # the longest that SQS keeps a message
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_TABLE_ACTIONS = [
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateItem",
]
_RULE: dict[str, Any] = {
    "ID": "ticket-backend-leftovers",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": LEFTOVER_DAYS},
}


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that must be so: how to find what is wrong with it (None: nothing), and how to make it so."""

    wrong: Callable[[], str | None]
    make: Callable[[], str]


class Setup:
    """The table, the bucket, the queue and the model, of which any may be None."""

    def __init__(
        self, cloud: Cloud, table: str | None, bucket: str | None, queue: Queue | None, model: Model | None = None
    ) -> None:
        self._cloud = cloud
        self._table = table
        self._bucket = bucket
        self._queue = QueueSetup(queue) if queue else None
        self._model = model
        self._report: Report = lambda _line: None

    def needs(self) -> Iterator[Need]:
        """In the order in which they can be made. Access to a model can't be: it is granted in AWS's console."""
        if self._table:
            yield Need(self._table_wrong, self._make_table)
            yield Need(self._ttl_wrong, self._make_ttl)
            yield Need(self._layout_wrong, self._upgrade)
        if self._bucket:
            yield Need(self._bucket_wrong, self._make_bucket)
            yield Need(self._public_wrong, self._block_public)
            yield Need(self._leftovers_wrong, self._make_rule)
        if self._queue:
            yield from self._queue.needs()

    def make(self, report: Report = lambda _line: None) -> list[str]:
        """Make what is missing; what was done, in lines. What takes long reports meanwhile. Raises Unavailable."""
        self._report = report
        return [need.make() for need in self.needs() if need.wrong() is not None]

    def check(self) -> list[str]:
        """What is wrong, in lines; nothing is changed. A model is asked something small."""
        found: list[str] = []
        for look in (*(need.wrong for need in self.needs()), self._model_wrong):
            try:
                wrong = look()
            except Unavailable as problem:
                wrong = str(problem)
            if wrong is not None and wrong not in found:
                found.append(wrong)
        return found

    def _model_wrong(self) -> None:
        if self._model:
            self._model.try_out()

    # ---- The table -------------------------------------------------------------------------------------------------

    @property
    def _dynamodb(self) -> Any:
        return self._cloud.client("dynamodb")

    @property
    def _s3(self) -> Any:
        return self._cloud.client("s3")

    def _table_wrong(self) -> str | None:
        found = self._described()
        if found is None:
            return f"The DynamoDB table {self._table} does not exist."
        wanted = definition(self._table or "")
        if sorted(map(_key, found["KeySchema"])) != sorted(map(_key, wanted["KeySchema"])):
            return f"The DynamoDB table {self._table} has other keys than pk and sk: choose another name."
        there = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", ())}
        missing = [index["IndexName"] for index in wanted["GlobalSecondaryIndexes"] if index["IndexName"] not in there]
        if missing:
            return f"The DynamoDB table {self._table} lacks the indexes {', '.join(missing)}."
        return _lean(found, wanted, self._what)

    def _make_table(self) -> str:
        with told(self._what):
            if self._described() is None:
                self._dynamodb.create_table(**definition(self._table or ""))
                self._wait()
                Upgrade(Table(self._cloud, self._table or "")).mark_new()
                return f"made the DynamoDB table {self._table}"
        return self._make_indexes()

    def _make_indexes(self) -> str:
        """DynamoDB makes one at a time."""
        wanted = definition(self._table or "")
        made = []
        for index in wanted["GlobalSecondaryIndexes"]:
            found = self._described() or {}
            if _key(found["KeySchema"][0]) != _key(wanted["KeySchema"][0]):
                raise Unavailable(f"{self._what} has other keys than pk and sk: choose another name.")
            lean = _lean(found, wanted, self._what)
            if lean:
                raise Unavailable(lean)
            if index["IndexName"] in {one["IndexName"] for one in found.get("GlobalSecondaryIndexes", ())}:
                continue
            with told(self._what):
                self._dynamodb.update_table(
                    TableName=self._table,
                    AttributeDefinitions=wanted["AttributeDefinitions"],
                    GlobalSecondaryIndexUpdates=[{"Create": index}],
                )
            self._wait()
            made.append(index["IndexName"])
        return f"made the indexes {', '.join(made)} of the DynamoDB table {self._table}"

    def _layout_wrong(self) -> str | None:
        if self._described() is None:
            return f"The DynamoDB table {self._table} does not exist."
        if Upgrade(Table(self._cloud, self._table or "")).is_needed():
            return f"The tickets in the DynamoDB table {self._table} are in the form of an older version."
        return None

    def _upgrade(self) -> str:
        table = Table(self._cloud, self._table or "")
        if self._bucket:  # first, since the walk ends with the mark that nothing is older
            memories.S3Memories(files.Bucket(self._cloud, self._bucket), table).index_anew()
        count = Upgrade(table).run(self._report)
        return f"the DynamoDB table {self._table} is in the form of this version ({count} tickets)"

    def _wait(self) -> None:
        """Until the table and every index of it can be used. An index of a large table takes its time."""
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while time.monotonic() < deadline:
            found = self._described() or {}
            states = [index["IndexStatus"] for index in found.get("GlobalSecondaryIndexes", ())]
            if found.get("TableStatus") == "ACTIVE" and all(state == "ACTIVE" for state in states):
                return
            time.sleep(POLL_SECONDS)
        raise Unavailable(f"{self._what} is still being made; run this again later.")

    def _described(self) -> dict[str, Any] | None:
        try:
            with told(self._what, "ResourceNotFoundException"):
                found: dict[str, Any] = self._dynamodb.describe_table(TableName=self._table)["Table"]
                return found
        except ClientError:
            return None

    def _ttl_wrong(self) -> str | None:
        try:
            with told(self._what, "ResourceNotFoundException"):
                found = self._dynamodb.describe_time_to_live(TableName=self._table)["TimeToLiveDescription"]
        except ClientError:
            return f"The DynamoDB table {self._table} does not exist."
        if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and found.get("AttributeName") == TTL:
            return None
        return f"The DynamoDB table {self._table} does not forget what expired: time to live on {TTL} is off."

    def _make_ttl(self) -> str:
        with told(self._what):
            self._dynamodb.update_time_to_live(
                TableName=self._table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL}
            )
        return f"let the DynamoDB table {self._table} forget what expired"

    @property
    def _what(self) -> str:
        return f"The DynamoDB table {self._table}"

    # ---- The bucket ------------------------------------------------------------------------------------------------

    def _bucket_wrong(self) -> str | None:
        try:
            with told(self._which, "404", "NoSuchBucket"):
                self._s3.head_bucket(Bucket=self._bucket)
        except ClientError:
            return f"The S3 bucket {self._bucket} does not exist."
        return None

    def _make_bucket(self) -> str:
        region = self._s3.meta.region_name
        more = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with told(self._which):
            self._s3.create_bucket(Bucket=self._bucket, **more)
            self._s3.get_waiter("bucket_exists").wait(Bucket=self._bucket)
        return f"made the S3 bucket {self._bucket}"

    def _public_wrong(self) -> str | None:
        try:
            with told(self._which, "NoSuchPublicAccessBlockConfiguration", "NoSuchBucket"):
                found = self._s3.get_public_access_block(Bucket=self._bucket)["PublicAccessBlockConfiguration"]
        except ClientError as problem:
            found = {}
            if code_of(problem) == "NoSuchBucket":
                return f"The S3 bucket {self._bucket} does not exist."
        if all(found.get(name) for name in _BLOCKED):
            return None
        return f"The S3 bucket {self._bucket} does not block public access."

    def _block_public(self) -> str:
        with told(self._which):
            self._s3.put_public_access_block(Bucket=self._bucket, PublicAccessBlockConfiguration=_BLOCKED)
        return f"blocked public access to the S3 bucket {self._bucket}"

    def _rules(self) -> list[dict[str, Any]] | None:
        try:
            with told(self._which, "NoSuchLifecycleConfiguration", "NoSuchBucket"):
                rules: list[dict[str, Any]] = self._s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
                return rules
        except ClientError as problem:
            return None if code_of(problem) == "NoSuchBucket" else []

    def _leftovers_wrong(self) -> str | None:
        rules = self._rules()
        if rules is None:
            return f"The S3 bucket {self._bucket} does not exist."
        if any("AbortIncompleteMultipartUpload" in rule and rule["Status"] == "Enabled" for rule in rules):
            return None
        return f"The S3 bucket {self._bucket} keeps what interrupted uploads leave behind."

    def _make_rule(self) -> str:
        with told(self._which):
            self._s3.put_bucket_lifecycle_configuration(
                Bucket=self._bucket, LifecycleConfiguration={"Rules": [*(self._rules() or []), _RULE]}
            )
        return f"let the S3 bucket {self._bucket} remove what interrupted uploads leave behind"

    @property
    def _which(self) -> str:
        return f"The S3 bucket {self._bucket}"

    # ---- Permissions -----------------------------------------------------------------------------------------------

    def policy(self) -> str:
        """The IAM policy that serving needs, and nothing more; `aws-setup` itself needs more."""
        statements = []
        if self._table:
            arn = f"arn:aws:dynamodb:*:*:table/{self._table}"
            statements.append(
                _allow(
                    "Table",
                    _TABLE_ACTIONS,
                    "dynamodb",
                    [arn, f"{arn}/index/*"],
                )
            )
        if self._bucket:
            bucket = f"arn:aws:s3:::{self._bucket}"
            prefixes = [files.PREFIX, memories.PREFIX, files.PROBES] if self._table else [files.PREFIX, files.PROBES]
            objects = [f"{bucket}/{prefix}*" for prefix in prefixes]
            statements.append(
                _allow("Objects", ["AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject"], "s3", objects)
            )
            # Without it S3 answers 403 where an object is missing, and nobody could tell the two apart.
            statements.append(_allow("Bucket", ["ListBucket"], "s3", [bucket]))
        if self._queue:
            statements += self._queue.statements()
        if self._model:
            for name, resources, condition in invoking(self._model.id):
                statements.append(_allow(name, ["InvokeModel"], "bedrock", resources) | condition)
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


class QueueSetup:
    """The queue of work and its dead-letter queue, the latter first, since the former names it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def needs(self) -> Iterator[Need]:
        """In the order in which they can be made."""
        for url, wanted in ((self._queue.dead_url, self._kept), (self._queue.url, self._kept_and_led)):
            yield Need(partial(self._wrong, url, wanted), partial(self._make, url, wanted))

    def _kept(self) -> dict[str, str]:
        return {"MessageRetentionPeriod": str(RETENTION_SECONDS)}

    def _kept_and_led(self) -> dict[str, str]:
        arn = self._queue.attributes(self._queue.dead_url, "QueueArn")["QueueArn"]
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": MOST_TRIES}
        return self._kept() | {"RedrivePolicy": json.dumps(policy)}

    def _wrong(self, url: str, wanted: Callable[[], dict[str, str]]) -> str | None:
        found = self._found(url)
        if found is None:
            return f"The {_named(url)} does not exist."
        if int(found.get("MessageRetentionPeriod", 0)) < RETENTION_SECONDS:
            return f"The {_named(url)} forgets what waits in it sooner than SQS allows."
        if url == self._queue.dead_url:
            return None
        if self._found(self._queue.dead_url) is None:
            return f"The {_named(self._queue.dead_url)} does not exist."
        led = json.loads(found.get("RedrivePolicy") or "{}")
        policy = json.loads(wanted()["RedrivePolicy"])
        if {name: str(led.get(name)) for name in policy} != {name: str(value) for name, value in policy.items()}:
            return f"The {_named(url)} does not move to {self._queue.name}{DEAD} what was taken {MOST_TRIES} times."
        return None

    def _make(self, url: str, wanted: Callable[[], dict[str, str]]) -> str:
        what, attributes = f"The {_named(url)}", wanted()
        if self._found(url) is not None:
            with told(what):
                self._queue.client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
            return f"corrected the {_named(url)}"
        with told(what):
            made = self._queue.client.create_queue(QueueName=url.rpartition("/")[2], Attributes=attributes)["QueueUrl"]
        if urlsplit(made).path != urlsplit(url).path:
            raise Unavailable(f"{what} is of another account than the credentials, which made {made}.")
        self._wait(url)
        return f"made the {_named(url)}"

    def _wait(self, url: str) -> None:
        """Until it can be used: SQS takes a moment to tell of a new one."""
        deadline = time.monotonic() + LONGEST_QUEUE_SECONDS
        while self._found(url) is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"The {_named(url)} is still being made; run this again later.")
            time.sleep(POLL_SECONDS)

    def _found(self, url: str) -> dict[str, str] | None:
        try:
            return self._queue.attributes(url, "MessageRetentionPeriod", "RedrivePolicy")
        except Unavailable as problem:
            if isinstance(problem.__cause__, ClientError) and code_of(problem.__cause__) in _NO_QUEUE:
                return None
            raise

    def statements(self) -> list[dict[str, Any]]:
        """What serving needs of the two."""
        *_, account, name = urlsplit(self._queue.url).path.split("/")
        arn = f"arn:aws:sqs:{self._queue.region or '*'}:{account or '*'}:{name}"
        work = ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"]
        dead = [action for action in work if action != "DeleteMessage"]
        return [_allow("Jobs", work, "sqs", [arn]), _allow("DeadJobs", dead, "sqs", [arn + DEAD])]


def _named(url: str) -> str:
    return f"SQS queue {url.rpartition('/')[2]}"


def _allow(sid: str, actions: list[str], service: str, resources: list[str]) -> dict[str, Any]:
    named = [f"{service}:{action}" for action in actions]
    return {"Sid": f"TicketBackend{sid}", "Effect": "Allow", "Action": named, "Resource": resources}


def _lean(found: dict[str, Any], wanted: dict[str, Any], what: str) -> str | None:
    """What to do where an index does not carry what it should, which can't be changed."""
    carried = {index["IndexName"]: _carried(index) for index in wanted["GlobalSecondaryIndexes"]}
    lean = [
        index["IndexName"]
        for index in found.get("GlobalSecondaryIndexes", ())
        if not carried.get(index["IndexName"], set()) <= _carried(index)
    ]
    named = ", ".join(lean)
    return f"{what} has indexes that lack attributes: delete {named}; aws-setup makes them anew." if lean else None


def _carried(index: dict[str, Any]) -> set[str]:
    return set(index["Projection"].get("NonKeyAttributes", ()))


def _key(schema: dict[str, str]) -> tuple[str, str]:
    return schema["AttributeName"], schema["KeyType"]
