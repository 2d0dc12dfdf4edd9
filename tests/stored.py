"""What lies in the stores, looked at from outside: the same questions of the files here and of AWS's engines."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol


class Stored(Protocol):
    """The stores of one installation."""

    def records(self) -> bytes:
        """Everything beside files, in one: what somebody who stole it could search."""

    def uploads(self) -> list[str]:
        """Everything with somebody's bytes in it, finished or not."""

    def lose_uploads(self) -> None:
        """Take the bytes away."""

    def memories(self) -> list[str]:
        """The ids of the memories there is a file of."""

    def memory(self, memory_id: str) -> str:
        """The file of one."""

    def write_memory(self, memory_id: str, content: bytes) -> None:
        """As by hand."""

    def lose_receipts(self) -> None:
        """Forget which keys were used."""


class OnDisk:
    """SQLite and files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def records(self) -> bytes:
        """See Stored."""
        return b"".join(path.read_bytes() for path in (self._root / "data").iterdir())

    def uploads(self) -> list[str]:
        """See Stored."""
        return [str(path) for path in self._uploads()]

    def lose_uploads(self) -> None:
        """See Stored."""
        for path in self._uploads():
            path.unlink()

    def memories(self) -> list[str]:
        """See Stored."""
        return [path.stem for path in (self._root / "memories").glob("*.md")]

    def memory(self, memory_id: str) -> str:
        """See Stored."""
        return self._memory(memory_id).read_text()

    def write_memory(self, memory_id: str, content: bytes) -> None:
        """See Stored."""
        self._memory(memory_id).write_bytes(content)

    def lose_receipts(self) -> None:
        """See Stored."""
        with sqlite3.connect(self._root / "data/tickets.db") as connection:
            connection.execute("DELETE FROM receipts")
        connection.close()

    def _uploads(self) -> list[Path]:
        found = (self._root / "uploads").rglob("*")
        return [path for path in found if path.is_file() and not path.name.startswith(".")]

    def _memory(self, memory_id: str) -> Path:
        return self._root / "memories" / f"{memory_id}.md"


class OnAws:
    """A table and a bucket."""

    def __init__(self, dynamodb: Any, s3: Any, table: str, bucket: str) -> None:
        self._dynamodb, self._s3 = dynamodb, s3
        self._table, self._bucket = table, bucket

    def records(self) -> bytes:
        """See Stored."""
        return json.dumps(list(self._items()), default=lambda value: value.decode("utf-8", "replace")).encode()

    def uploads(self) -> list[str]:
        """See Stored."""
        begun = self._s3.list_multipart_uploads(Bucket=self._bucket).get("Uploads", [])
        return [*self._objects("attachments/"), *(one["Key"] for one in begun)]

    def lose_uploads(self) -> None:
        """See Stored."""
        for key in self._objects("attachments/"):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def memories(self) -> list[str]:
        """See Stored."""
        return [key.removeprefix("memories/").removesuffix(".md") for key in self._objects("memories/")]

    def memory(self, memory_id: str) -> str:
        """See Stored."""
        content: bytes = self._s3.get_object(Bucket=self._bucket, Key=f"memories/{memory_id}.md")["Body"].read()
        return content.decode()

    def write_memory(self, memory_id: str, content: bytes) -> None:
        """See Stored."""
        self._s3.put_object(Bucket=self._bucket, Key=f"memories/{memory_id}.md", Body=content)

    def lose_receipts(self) -> None:
        """See Stored."""
        for item in self._items():
            if item["pk"]["S"].startswith("R#"):
                self._dynamodb.delete_item(TableName=self._table, Key={"pk": item["pk"], "sk": item["sk"]})

    def _items(self) -> Iterator[dict[str, Any]]:
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=self._table):
            yield from page["Items"]

    def _objects(self, prefix: str) -> list[str]:
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]
