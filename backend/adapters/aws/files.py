"""Attachments in an S3 bucket: streamed in parts, so that a file is never held whole."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from backend.adapters.aws.clients import Cloud, check_at_start, told
from backend.domain.attachments import StoredFile
from backend.domain.file_types import SNIFFED_BYTES
from backend.errors import NotFound, TicketBackendError, TooLarge, Unavailable

VARIABLE = "UPLOAD_BUCKET"
PREFIX = "attachments/"
PROBES = "probe/"
_PART = 5 * 1024 * 1024  # the least that S3 takes as a part
_BLOCK = 256 * 1024
_ANOTHER_CAME = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")

logger = logging.getLogger("backend.s3")


class Bucket:
    """A bucket, and the calls that the adapters are made of. Its methods block."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.what = f"The S3 bucket {name}"

    @property
    def client(self) -> Any:
        """boto3's."""
        return self.cloud.client("s3")

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream", **condition: str) -> bool:
        """Write an object whole; S3 checks its SHA-256. False where the condition (`IfMatch`) does not hold."""
        try:
            with told(self.what, *_ANOTHER_CAME):
                self.client.put_object(
                    Bucket=self.name,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    ChecksumAlgorithm="SHA256",
                    **condition,
                )
        except ClientError:
            return False
        return True

    def get_whole(self, key: str, most: int) -> tuple[bytes, str] | None:
        """The first bytes of an object, one more than `most` at the most, and its ETag; None where there is none."""
        body_and_tag = self._opened(key, {})
        if body_and_tag is None:
            return None
        body, tag = body_and_tag
        with body, told(self.what):
            data: bytes = body.read(most + 1)
        return data, tag

    def get(self, key: str, start: int = 0, length: int | None = None) -> Any | None:
        """The body of an object or a range of it, to read from; None where there is none."""
        found = self._opened(key, {"Range": f"bytes={start}-{start + length - 1}"} if length else {})
        return found[0] if found else None

    def _opened(self, key: str, more: dict[str, str]) -> tuple[Any, str] | None:
        try:
            with told(self.what, "NoSuchKey", "404"):
                answer = self.client.get_object(Bucket=self.name, Key=key, **more)
        except ClientError:
            return None
        return answer["Body"], answer["ETag"]

    def size(self, key: str) -> int | None:
        """The size of an object; None where there is none."""
        try:
            with told(self.what, "404", "NoSuchKey"):
                return int(self.client.head_object(Bucket=self.name, Key=key)["ContentLength"])
        except ClientError:
            return None

    def link(self, key: str, seconds: int, headers: dict[str, str]) -> str:
        """An address at which an object may be read for so many seconds; asks nobody."""
        asked = {"Bucket": self.name, "Key": key, **headers}
        with told(self.what):
            address: str = self.client.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
        return address

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""
        with told(self.what):
            self.client.delete_object(Bucket=self.name, Key=key)

    def probe(self) -> None:
        """Write an object and remove it."""
        key = f"{PROBES}{secrets.token_hex(8)}"
        asked = Bucket(self.cloud.hurried(), self.name)
        asked.put(key, b"probe")
        asked.delete(key)


class S3Files:
    """The port `Files` on a bucket: `attachments/<key>`."""

    adapter = "s3"
    remote = True

    def __init__(self, bucket: Bucket, link_seconds: int = 0) -> None:
        self.bucket = bucket
        self._link_seconds = link_seconds

    def open(self) -> None:
        """Ask the bucket once."""
        warning = check_at_start(self.bucket.probe, VARIABLE)
        if warning:
            logger.warning("%s", warning)

    def close(self) -> None:
        """Let running calls finish."""
        self.bucket.cloud.close()

    async def probe(self) -> None:
        """Write an object and remove it."""
        await self.bucket.cloud.hurried().run(self.bucket.probe)

    async def put(self, chunks: AsyncIterator[bytes], limit: int, key: str | None = None) -> StoredFile:
        """See ports.Files. One call for what fits in a part, else a multipart upload that is completed at the end."""
        upload = _Upload(self.bucket, key or secrets.token_hex(16), given=key is not None)
        try:
            async for chunk in chunks:
                if upload.size + len(chunk) > limit:
                    raise TooLarge(f"A file may have at most {limit // (1024 * 1024)} MiB.")
                upload.take(chunk)
                if upload.has_part:
                    await self.bucket.cloud.run(upload.send_part)
            await self.bucket.cloud.run(upload.finish)
        except BaseException:
            await asyncio.shield(self.bucket.cloud.run(upload.abort))
            raise
        return StoredFile(upload.key, upload.size, upload.digest.hexdigest(), upload.head)

    async def size(self, key: str) -> int | None:
        """See ports.Files."""
        return await self.bucket.cloud.run(lambda: self.bucket.size(PREFIX + key))

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See ports.Files."""
        if length <= 0:
            return
        run = self.bucket.cloud.run
        body = await run(lambda: self.bucket.get(PREFIX + key, start, length))
        if body is None:
            raise NotFound("The bytes of this attachment are gone.")
        try:
            while length > 0:
                block = await run(lambda: self._block(body))
                if not block:
                    raise Unavailable("The file is shorter than its record says.")
                length -= len(block)
                yield block
        finally:
            body.close()

    async def link(self, key: str, content_type: str, disposition: str) -> str | None:
        """See ports.Files."""
        if not self._link_seconds:
            return None
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return await self.bucket.cloud.run(lambda: self.bucket.link(PREFIX + key, self._link_seconds, headers))

    async def delete(self, key: str) -> None:
        """See ports.Files."""
        await self.bucket.cloud.run(lambda: self.bucket.delete(PREFIX + key))

    def _block(self, body: Any) -> bytes:
        with told(self.bucket.what):
            block: bytes = body.read(_BLOCK)
        return block


class _Upload:
    """A file on its way, with its size, digest and first bytes so far."""

    def __init__(self, bucket: Bucket, key: str, *, given: bool) -> None:
        self.key = key
        self.size = 0
        self.digest = hashlib.sha256()
        self.head = b""
        self.bucket = bucket
        self._place: dict[str, str] = {"Bucket": bucket.name, "Key": PREFIX + key}
        self._waiting = bytearray()
        self._id: str | None = None
        self._finishing = False
        self._given = given
        self._parts: list[dict[str, Any]] = []

    @property
    def has_part(self) -> bool:
        """Whether enough waits to be sent."""
        return len(self._waiting) >= _PART

    def take(self, chunk: bytes) -> None:
        """Hold a chunk until a part is full."""
        self.size += len(chunk)
        self._waiting += chunk
        if len(self.head) < SNIFFED_BYTES:
            self.head = (self.head + chunk)[:SNIFFED_BYTES]

    def send_part(self) -> None:
        """Send what waits."""
        body = self._next_body()
        client, number = self.bucket.client, len(self._parts) + 1
        with told(self.bucket.what):
            if self._id is None:
                begun = client.create_multipart_upload(**self._place, ChecksumAlgorithm="SHA256")
                self._id = begun["UploadId"]
            sent = client.upload_part(
                **self._place, UploadId=self._id, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"
            )
        part = {"ETag": sent["ETag"], "PartNumber": number}
        if "ChecksumSHA256" in sent:
            part["ChecksumSHA256"] = sent["ChecksumSHA256"]
        self._parts.append(part)

    def finish(self) -> None:
        """Send the rest, and make the object appear."""
        self._finishing = True
        if self._id is None:
            self.bucket.put(self._place["Key"], self._next_body())
            return
        if self._waiting:
            self.send_part()
        with told(self.bucket.what):
            self.bucket.client.complete_multipart_upload(
                **self._place, UploadId=self._id, MultipartUpload={"Parts": self._parts}
            )

    def abort(self) -> None:
        """Leave nothing behind. What can't be aborted now, the bucket's lifecycle rule removes."""
        try:
            if self._id is not None:
                self._abort_parts(self._id)
            if self._finishing and not self._given:  # what lay under a given key before is not ours to remove
                self.bucket.delete(self._place["Key"])
        except TicketBackendError as problem:
            logger.warning("an unfinished upload is left to the bucket's lifecycle rule: %s", problem)

    def _abort_parts(self, upload_id: str) -> None:
        with suppress(ClientError), told(self.bucket.what, "NoSuchUpload"):
            self.bucket.client.abort_multipart_upload(**self._place, UploadId=upload_id)

    def _next_body(self) -> bytes:
        body, self._waiting = bytes(self._waiting), bytearray()
        self.digest.update(body)
        return body
