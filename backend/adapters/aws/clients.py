"""boto3 behind the ports: one session, clients with limits on time and retries, a bounded pool of threads, and the
one line that tells what failed.

boto3 blocks, so every port method does its calls on a thread of the pool: `await cloud.run(work)`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from backend.adapters.threads import ReadThreads
from backend.domain.reading import ReadLimits
from backend.errors import RequestError, StorageRefused, Unavailable

Result = TypeVar("Result")

# It would say at each start, and for each client, where it found its address and its keys.
logging.getLogger("botocore").setLevel(logging.WARNING)

THREADS = 32
READS_A_THREAD = 4  # threads for each of READ_THREADS: most of the time they wait for the network
CONNECT_SECONDS = 1.5
READ_SECONDS = 5.0
MODELS = "bedrock-runtime"
MODEL_READ_SECONDS = 20.0  # a model thinks; with one attempt, since models.py tries again where there is time for it
ATTEMPTS = 3  # boto3's standard mode: with growing pauses, and less often when everything fails
_LONGEST_MESSAGE = 300
PROBE_READ_SECONDS = 1.5  # with one attempt, so that a health check, which waits for 2 s, tells what failed

_THROTTLED = frozenset(
    {
        "KmsThrottled",
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN_CALLER = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "KmsAccessDenied", "UnauthorizedOperation", "403"}
)
_MISSING = frozenset(
    {"AWS.SimpleQueueService.NonExistentQueue", "NoSuchBucket", "QueueDoesNotExist", "ResourceNotFoundException"}
)


@dataclass(frozen=True, slots=True)
class Access:
    """What the settings say of the account; where they say nothing, boto3 looks where it always does."""

    key_id: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None

    def __repr__(self) -> str:
        return f"Access(region={self.region!r})"


class Misconfigured(Unavailable):
    """What no waiting mends: unknown credentials, a missing table, a denied permission."""


class Cloud:
    """A session and its clients, each made at its first use."""

    def __init__(self, access: Access, *, hurried: bool = False, limits: ReadLimits | None = None) -> None:
        self._access = access
        self._readers = ReadThreads((limits or ReadLimits()).times(READS_A_THREAD), "aws-reader")
        self._hurried = hurried
        self._making = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._asked: Cloud | None = None

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of this service, in the region of the settings unless one is given, always the same.

        Raises Misconfigured where there is no region or profile.
        """
        with self._making:
            if service not in self._clients:
                with told("AWS"):
                    session: Any = self._session()  # the types of boto3-stubs know literal names only
                    config = _config(service, hurried=self._hurried)
                    self._clients[service] = session.client(service, region_name=region, config=config)
            return self._clients[service]

    def hurried(self) -> "Cloud":
        """Another one, to ask how a store is: once, and on threads of its own, which waiting requests can't take."""
        with self._making:
            if self._asked is None:
                self._asked = Cloud(self._access, hurried=True)
            return self._asked

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do blocking work on a thread of the pool; it waits for its turn where all are busy."""
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")
            pool = self._pool
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def read(self, work: Callable[[], Result], *, search: bool = False) -> Result:
        """Do a read of perhaps many calls in its reader's turn; `Table` stops it between two calls at its deadline.

        Raises Overdue, ClientGone, TooManyRequests.
        """
        return await self._readers.run(lambda _permit: work(), search=search)

    def close(self) -> None:
        """Let running calls finish, then let go of threads and connections. The next use starts anew."""
        with self._making:
            pool, self._pool = self._pool, None
            clients, self._clients = self._clients, {}
            asked, self._asked = self._asked, None
        self._readers.close()
        if asked:
            asked.close()
        if pool:
            pool.shutdown()
        for client in clients.values():
            client.close()

    def _session(self) -> boto3.session.Session:
        inner = botocore.session.Session()
        inner.register_component("data_loader", _descriptions())
        return boto3.session.Session(
            botocore_session=inner,
            aws_access_key_id=self._access.key_id,
            aws_secret_access_key=self._access.secret_key,
            aws_session_token=self._access.session_token,
            region_name=self._access.region,
        )


@cache
def _descriptions() -> Any:
    """What boto3 reads of each service, read once a process: it takes longer than everything else at the start."""
    return create_loader()


def _config(service: str, *, hurried: bool) -> Config:
    read, attempts = (PROBE_READ_SECONDS, 1) if hurried else (READ_SECONDS, ATTEMPTS)
    if service == MODELS:
        read, attempts = MODEL_READ_SECONDS, 1
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * THREADS,  # for reads as well; more would be opened and thrown away
        tcp_keepalive=True,
        s3={"addressing_style": "auto"} if service == "s3" else None,
        signature_version="s3v4" if service == "s3" else None,  # else links are signed as in 2006 in old regions
    )


def check_at_start(probe: Callable[[], None], variable: str) -> str | None:
    """Ask once, at the start: what no waiting mends refuses it (StorageRefused), the rest is returned as a warning.

    A store that is down for a while should not keep a replica from starting: `/health/ready` tells of it.
    """
    try:
        probe()
    except Misconfigured as problem:
        raise StorageRefused(f"{variable}: {problem}") from problem
    except Unavailable as problem:
        return f"{variable}: {problem}"
    return None


@contextmanager
def told(what: str, *passing: str) -> Iterator[None]:
    """Turn boto3's errors into one line about `what`, such as `The table x`; codes `passing` go on as they are."""
    try:
        yield
    except ParamValidationError:
        raise  # a mistake of ours, not of the store
    except ClientError as problem:
        if code_of(problem) in passing:
            raise
        raise explained(problem, what) from problem
    except (BotoCoreError, ResponseParserError) as problem:
        raise explained(problem, what) from problem


def code_of(problem: ClientError) -> str:
    """AWS's name for the error."""
    return str(problem.response.get("Error", {}).get("Code", ""))


def message_of(problem: ClientError) -> str:
    """What AWS says of it, in one line that is not long."""
    return " ".join(str(problem.response.get("Error", {}).get("Message", "")).split())[:_LONGEST_MESSAGE]


def explained(problem: Exception, what: str) -> RequestError:
    """Unavailable, in words that tell one cause from another."""
    if isinstance(problem, ClientError):
        return _answered(problem, what)
    if isinstance(problem, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return Misconfigured(
            f"{what} can't be used: there are no AWS credentials. Set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or give this machine a role."
        )
    if isinstance(problem, NoRegionError):
        return Misconfigured(f"{what} can't be used: the region is not known. Set AWS_DEFAULT_REGION.")
    if isinstance(problem, ProfileNotFound):
        return Misconfigured(f"{what} can't be used: {problem}. Correct or unset AWS_PROFILE.")
    if isinstance(problem, ResponseParserError):  # whose own words may be a page long
        return Unavailable(f"{what} sent something that can't be read. Check AWS_ENDPOINT_URL, and what lies between.")
    if isinstance(problem, ReadTimeoutError):
        return Unavailable(f"{what} did not answer in time.")
    if isinstance(problem, ConnectTimeoutError):
        return Unavailable(f"{what} can't be reached: no connection within {CONNECT_SECONDS:g} s.")
    if isinstance(problem, ConnectionError | HTTPClientError):
        return Unavailable(f"{what} can't be reached: the connection failed. Check the network and AWS_ENDPOINT_URL.")
    return Unavailable(f"{what} can't be used: {str(problem).rstrip('.')}.")


def _answered(problem: ClientError, what: str) -> RequestError:
    code = code_of(problem)
    action = problem.operation_name
    status = int(problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _THROTTLED:
        return Unavailable(f"{what} throttles requests ({code}); try again in a moment.")
    if code in _EXPIRED:
        return Misconfigured(f"{what} can't be used: the AWS credentials have expired; renew them.")
    if code in _UNKNOWN_CALLER:
        return Misconfigured(
            f"{what} can't be used: AWS does not accept the credentials ({code}). Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."
        )
    if code in _DENIED:
        return Misconfigured(
            f"{what} can't be used: permission for {action} is denied; `python -m backend aws-setup --policy` "
            "prints what is needed."
        )
    if code in _MISSING or (code == "404" and action.startswith("Head")):
        return Misconfigured(f"{what} does not exist; `python -m backend aws-setup` makes it.")
    if status >= 500:
        return Unavailable(f"{what} failed on AWS's side ({status} {code}); try again in a moment.")
    return Unavailable(f"{what} refused {action}: {code}: {message_of(problem)}".rstrip(": "))
